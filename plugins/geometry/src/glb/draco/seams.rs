//! Attributes whose values differ across an edge: their own corner tables, which are that of the positions cut open there, and
//! the points that corners of one vertex fall apart into.

use mediary_core::Result;

use super::corners::{Corners, NONE, next, previous};
use super::edgebreaker::Mesh;
use super::memory::Memory;
use super::stream::Stream;

/// What the attributes with a connectivity of their own have instead of the positions' table.
#[derive(Default)]
pub(super) struct Seams {
    /// `None` where no edge inside the mesh is a seam and the table of the positions serves.
    pub(super) tables: Vec<Option<Corners>>,
    /// Whether a vertex lies on a seam of any attribute.
    on_seam: Vec<bool>,
}

/// Reads which edges are seams.
pub(super) fn read(mesh: &mut Mesh<'_>, stream: &Stream<'_>, memory: &mut Memory<'_>) -> Result<Seams> {
    let corners = &mesh.corners;
    let mut tables: Vec<Option<Corners>> = mesh.traversal.seams.iter().map(|_| None).collect();
    if tables.is_empty() {
        return Ok(Seams::default());
    }
    let mut on_seam = memory.vec(false, corners.leftmost.len())?;
    for corner in 0..corners.vertex.len() as u32 {
        memory.step()?;
        let opposite = corners.opposite(corner);
        // From version 2.1 on, an edge is read at the first of its faces.
        if opposite == NONE || (stream.minor > 0 && opposite / 3 < corner / 3) {
            continue;
        }
        for (seams, table) in mesh.traversal.seams.iter_mut().zip(&mut tables) {
            if !seams.read() {
                continue;
            }
            let table = match table {
                Some(table) => table,
                None => {
                    memory.take(corners.opposite.len() as u64 * 4)?;
                    table.insert(Corners { opposite: corners.opposite.clone(), ..Corners::default() })
                }
            };
            table.opposite[corner as usize] = NONE;
            table.opposite[opposite as usize] = NONE;
            on_seam[corners.vertex(next(corner)) as usize] = true;
            on_seam[corners.vertex(previous(corner)) as usize] = true;
        }
    }
    for (seams, table) in mesh.traversal.seams.iter().zip(&mut tables) {
        seams.finish("seams")?;
        if let Some(table) = table {
            number(table, corners, &on_seam, stream, memory)?;
        }
    }
    Ok(Seams { tables, on_seam })
}

/// Numbers the vertices of a table that is cut open: those of `whole` in order, each part from its leftmost corner on.
fn number(
    table: &mut Corners,
    whole: &Corners,
    on_seam: &[bool],
    stream: &Stream<'_>,
    memory: &mut Memory<'_>,
) -> Result<()> {
    table.vertex = memory.vec(NONE, whole.vertex.len())?;
    memory.take(whole.vertex.len() as u64 * 4)?;
    for (&begin, &on_seam) in whole.leftmost.iter().zip(on_seam) {
        if begin == NONE {
            continue;
        }
        let first = if on_seam { part(table, begin, memory)? } else { begin };
        let mut at = first;
        loop {
            memory.step()?;
            if at == first || table.opposite(next(at)) == NONE {
                table.leftmost.push(at);
            }
            if table.vertex(at) != NONE {
                return Err(stream.fail("a corner belongs to two vertices"));
            }
            table.vertex[at as usize] = table.leftmost.len() as u32 - 1;
            at = whole.swing_right(at);
            if at == NONE || at == first {
                break;
            }
        }
    }
    match table.vertex.contains(&NONE) {
        true => Err(stream.fail("a corner belongs to no vertex")),
        false => Ok(()),
    }
}

/// The leftmost corner of the part that a corner belongs to; that corner itself if there is no border.
fn part(table: &Corners, begin: u32, memory: &mut Memory<'_>) -> Result<u32> {
    let mut first = begin;
    loop {
        memory.step()?;
        match table.swing_left(first) {
            NONE => return Ok(first),
            left if left == begin => return Ok(begin),
            left => first = left,
        }
    }
}

/// The point of each corner, and how many points there are: corners of a vertex are one point as long as no attribute has a
/// seam between them.
pub(super) fn points(
    mesh: &Mesh<'_>,
    seams: &Seams,
    stream: &Stream<'_>,
    memory: &mut Memory<'_>,
) -> Result<(Vec<u32>, u32)> {
    let corners = &mesh.corners;
    let mut points = memory.vec(NONE, corners.vertex.len())?;
    if mesh.traversal.seams.is_empty() {
        if corners.vertex.iter().any(|&vertex| vertex >= mesh.vertices) {
            return Err(stream.fail("a corner belongs to a vertex that was merged"));
        }
        points.copy_from_slice(&corners.vertex);
        return Ok((points, mesh.vertices));
    }
    let mut count = 0_u32;
    for (vertex, &leftmost) in corners.leftmost.iter().enumerate() {
        if leftmost == NONE {
            continue;
        }
        let on_seam = seams.on_seam[vertex];
        let first = match on_seam && !mesh.at_hole[vertex] {
            true => behind_seam(corners, &seams.tables, leftmost, memory)?,
            false => leftmost,
        };
        let (mut at, mut before) = (first, NONE);
        loop {
            memory.step()?;
            let between = |table: &Corners| table.vertex(at) != table.vertex(before);
            let seam = before == NONE || (on_seam && seams.tables.iter().flatten().any(between));
            count += u32::from(seam);
            if points[at as usize] != NONE {
                return Err(stream.fail("a corner belongs to two points"));
            }
            points[at as usize] = count - 1;
            before = at;
            at = corners.swing_right(at);
            if at == NONE || at == first {
                break;
            }
        }
    }
    match points.contains(&NONE) {
        true => Err(stream.fail("a corner belongs to no point")),
        false => Ok((points, count)),
    }
}

/// Where the points of a vertex begin that has faces all around: at the first seam of the first attribute that has one there.
fn behind_seam(corners: &Corners, tables: &[Option<Corners>], leftmost: u32, memory: &mut Memory<'_>) -> Result<u32> {
    for table in tables.iter().flatten() {
        let mut at = corners.swing_right(leftmost);
        while at != leftmost && at != NONE {
            memory.step()?;
            if table.vertex(at) != table.vertex(leftmost) {
                return Ok(at);
            }
            at = corners.swing_right(at);
        }
    }
    Ok(leftmost)
}
