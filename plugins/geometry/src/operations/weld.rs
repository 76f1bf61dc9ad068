//! One vertex for all that agree in every attribute, bit by bit; −0 is 0.

use mediary_core::record::scene::{MorphTarget, Primitive};
use mediary_core::record::{Buffer, Scene};
use mediary_core::{Context, Result};

use crate::vertex::NONE;

/// Vertices between two checkpoints.
const CHECK_EVERY: usize = 1 << 16;

/// Drops what differs between the faces that meet in a vertex.
pub(super) fn drop_surface(scene: &mut Scene, cx: &Context) {
    let (mut normals, mut texcoords) = (0, 0);
    for primitive in scene.meshes.iter_mut().flat_map(|mesh| &mut mesh.primitives) {
        normals += primitive.normals.len() as u64;
        texcoords += primitive.texcoords.iter().map(|set| set.len() as u64).sum::<u64>();
        primitive.normals = Buffer::default();
        primitive.tangents = Buffer::default();
        primitive.texcoords.clear();
    }
    cx.lose("normals", normals, "normals: vertices were joined by position");
    cx.lose("texcoords", texcoords, "texture coordinates: vertices were joined by position");
}

/// Joins the vertices of every primitive. Those that no corner uses stay.
pub(super) fn scene(scene: &mut Scene, cx: &Context) -> Result<()> {
    scene.meshes.iter_mut().flat_map(|mesh| &mut mesh.primitives).try_for_each(|one| primitive(one, cx))
}

/// One attribute as words.
struct Column<'p> {
    words: &'p [u32],
    width: usize,
    float: bool,
}

impl<'p> Column<'p> {
    fn of<T: bytemuck::NoUninit>(values: &'p [T], float: bool) -> Self {
        Self { words: bytemuck::cast_slice(values), width: size_of::<T>() / size_of::<u32>(), float }
    }

    fn words(&self, vertex: usize) -> impl Iterator<Item = u32> {
        let negative_zero = if self.float { 1 << 31 } else { 0 };
        let words = &self.words[vertex * self.width..][..self.width];
        words.iter().map(move |&word| if word == negative_zero { 0 } else { word })
    }
}

fn columns(primitive: &Primitive) -> Vec<Column<'_>> {
    let mut columns = vec![
        Column::of(&primitive.positions, true),
        Column::of(&primitive.normals, true),
        Column::of(&primitive.tangents, true),
    ];
    columns.extend(primitive.texcoords.iter().map(|set| Column::of(set, true)));
    columns.extend(primitive.colors.iter().chain(&primitive.weights).map(|set| Column::of(set, true)));
    columns.extend(primitive.joints.iter().map(|set| Column::of(set, false)));
    for MorphTarget { positions, normals, tangents, .. } in &primitive.targets {
        columns.extend([positions, normals, tangents].map(|values| Column::of(values, true)));
    }
    columns.retain(|column| !column.words.is_empty());
    columns
}

/// Joins the vertices of one primitive.
///
/// # Errors
/// `Limit` when a table of the vertices does not fit; `Cancelled`.
pub(crate) fn primitive(primitive: &mut Primitive, cx: &Context) -> Result<()> {
    let count = primitive.positions.len();
    if count < 2 {
        return Ok(());
    }
    let slots = count.saturating_mul(2).next_power_of_two();
    cx.budget().take((slots as u64 + 2 * count as u64).saturating_mul(4))?;
    let columns = columns(primitive);
    // Open addressing: the table holds places in `kept`.
    let mut table = vec![NONE; slots];
    let (mut kept, mut joined): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::with_capacity(count));
    for vertex in 0..count {
        if vertex.is_multiple_of(CHECK_EVERY) {
            cx.checkpoint()?;
        }
        let words = || columns.iter().flat_map(|column| column.words(vertex));
        let mut slot = hash(words()) as usize & (slots - 1);
        loop {
            match table[slot] {
                NONE => {
                    table[slot] = kept.len() as u32;
                    joined.push(kept.len() as u32);
                    kept.push(vertex as u32);
                    break;
                }
                known => {
                    let other = kept[known as usize] as usize;
                    if words().eq(columns.iter().flat_map(|column| column.words(other))) {
                        joined.push(known);
                        break;
                    }
                    slot = (slot + 1) & (slots - 1);
                }
            }
        }
    }
    drop(columns);
    if kept.len() == count {
        return Ok(());
    }
    match &mut primitive.indices {
        Some(indices) => indices.to_mut().iter_mut().for_each(|index| *index = joined[*index as usize]),
        None => primitive.indices = Some(joined.into()),
    }
    keep(&mut primitive.positions, &kept);
    keep(&mut primitive.normals, &kept);
    keep(&mut primitive.tangents, &kept);
    primitive.texcoords.iter_mut().for_each(|set| keep(set, &kept));
    primitive.colors.iter_mut().chain(&mut primitive.weights).for_each(|set| keep(set, &kept));
    primitive.joints.iter_mut().for_each(|set| keep(set, &kept));
    for target in &mut primitive.targets {
        keep(&mut target.positions, &kept);
        keep(&mut target.normals, &kept);
        keep(&mut target.tangents, &kept);
    }
    Ok(())
}

fn keep<T: Copy + Send + Sync + 'static>(values: &mut Buffer<T>, kept: &[u32]) {
    if !values.is_empty() {
        *values = kept.iter().map(|&vertex| values[vertex as usize]).collect::<Vec<_>>().into();
    }
}

/// Spreads the low bits, which are what floats differ in least.
fn hash(words: impl Iterator<Item = u32>) -> u64 {
    let mixed =
        words.fold(0_u64, |hash, word| (hash.rotate_left(23) ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed ^ (mixed >> 32)
}
