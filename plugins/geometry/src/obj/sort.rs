//! Sorting elements into the groups that become primitives, with one vertex for each distinct corner.
//!
//! Vertices stand in the order of the `v` lines, those of one position in the order of the corners: the same for any number of
//! threads, and near each other in memory for everyone after. A thread looks at all corners, but for those of its own range of
//! positions only; then vertices are numbered; then each part of the file looks its corners up.

use std::collections::HashMap;
use std::mem::take;
use std::ops::Range;

use mediary_core::{Context, Result, Severity};

use super::file::{Elements, File, Has, Segment, Shape};
use crate::parallel::joined;
use crate::text;
use crate::vertex::{NONE, same};

/// Corners of which those are looked at together whose positions may be out of range.
const BLOCK: usize = 1 << 10;

/// Entries of one position that are searched one after the other: files can be made whose corners all share one.
const LONGEST_CHAIN: usize = 32;

/// What a primitive is made of.
pub(super) struct Group {
    /// Index into the names of meshes.
    pub(super) mesh: u32,
    /// Index into the names of the file.
    pub(super) material: u32,
    pub(super) shape: Shape,
    /// Whether there are texture coordinates, and normals.
    pub(super) has: [bool; 2],
    /// Indices of each vertex in the lists of the file.
    pub(super) vertices: Vec<[u32; 3]>,
    /// Three a triangle, or as many as the sizes say.
    pub(super) indices: Vec<u32>,
    /// Corners of each face, if one is no triangle.
    pub(super) sizes: Vec<u32>,
    polygons: bool,
}

/// The groups and the names of their meshes. The elements of the file are used up.
///
/// # Errors
/// `Limit`, `Cancelled`.
pub(super) fn sort(file: &mut File<'_>, cx: &Context) -> Result<(Vec<String>, Vec<Group>)> {
    let (names, mut groups, jobs) = group(file, cx)?;
    let tables = tables(file.positions.len(), &jobs, &mut groups, cx)?;
    fill(&mut groups, jobs, &tables, cx)?;
    cx.budget().give_back(tables.0.iter().map(|table| table.charged).sum());
    Ok((names, groups))
}

/// Elements of a part, and the number of the group of each run.
type Job = (Elements, Vec<u32>);

/// Which run belongs to which group; vertices and indices are still to come.
fn group(file: &mut File<'_>, cx: &Context) -> Result<(Vec<String>, Vec<Group>, Vec<Job>)> {
    let (mut names, mut groups, mut jobs) = (Vec::new(), Vec::<Group>::new(), Vec::new());
    let (mut meshes, mut known) = (HashMap::new(), HashMap::new());
    // Runs with the same attributes follow each other.
    let mut last = None;
    let mut mixed = 0;
    for elements in take(&mut file.elements) {
        let mut own = Vec::with_capacity(elements.runs.len());
        for (segment, run, _) in elements.runs() {
            let has = run.has.map(|has| has == Has::All);
            let same = (segment.names(), run.shape, has);
            let which = match last {
                Some((known, which)) if known == same => which,
                _ => {
                    let mesh = *meshes.entry((segment.object, segment.group)).or_insert_with(|| {
                        names.push(mesh_name(file, segment));
                        names.len() as u32 - 1
                    });
                    *known.entry((mesh, segment.material, run.shape, has)).or_insert_with(|| {
                        groups.push(Group::new(mesh, segment.material, run.shape, has));
                        groups.len() as u32 - 1
                    })
                }
            };
            last = Some((same, which));
            groups[which as usize].polygons |= run.shape == Shape::Face && run.size != 3;
            mixed += u64::from(run.count) * run.has.iter().filter(|&&has| has == Has::Some).count() as u64;
            own.push(which);
        }
        jobs.push((elements, own));
        cx.checkpoint()?;
    }
    cx.budget().take((groups.len() * size_of::<Group>()) as u64)?;
    let message = "elements have texture coordinates or normals at some corners only: left out";
    cx.report_times(Severity::Warning, "mixed-corners", message, None, mixed);
    Ok((names, groups, jobs))
}

impl Group {
    /// Without vertices.
    pub(super) fn new(mesh: u32, material: u32, shape: Shape, has: [bool; 2]) -> Self {
        Self {
            mesh,
            material,
            shape,
            has,
            vertices: Vec::new(),
            indices: Vec::new(),
            sizes: Vec::new(),
            polygons: false,
        }
    }

    /// What tells a corner of this group, whose number is given, from others at its position.
    fn key(&self, number: u32, [_, texcoord, normal]: [u32; 3]) -> [u32; 3] {
        let or_none = |index: u32, has: bool| if has { index } else { NONE };
        [number, or_none(texcoord, self.has[0]), or_none(normal, self.has[1])]
    }
}

fn mesh_name(file: &File<'_>, segment: &Segment) -> String {
    let object = file.objects.get(segment.object as usize).copied().unwrap_or_default();
    let group = file.names.get(segment.group as usize).copied().unwrap_or_default();
    match (object, group) {
        (object, b"") => text::decode(object),
        (b"", group) => text::decode(group),
        (object, group) if object == group => text::decode(object),
        (object, group) => format!("{}/{}", text::decode(object), text::decode(group)),
    }
}

/// The distinct corners of a range of positions.
struct Table {
    positions: Range<usize>,
    /// The first corner at each.
    first: Vec<Entry>,
    /// All others, in the order of the corners.
    more: Vec<More>,
    /// Where those stand in `more` that no chain holds, by position and key.
    beyond: HashMap<[u32; 4], usize>,
    /// The vertices of `first`, then those of `more`, counted in this range.
    numbers: Vec<u32>,
    /// Vertices of each group before this range.
    before: Vec<u32>,
    /// Bytes taken from the budget.
    charged: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Group, texture coordinate, normal; the group of an unused position is [`NONE`].
    key: [u32; 3],
    /// The next of this position in `more`, or [`NONE`].
    next: u32,
}

struct More {
    /// From the start of the range.
    position: u32,
    entry: Entry,
}

/// Where a corner is not found.
enum Missing {
    /// In a chain that may grow.
    InChain,
    /// Beyond one.
    Beyond,
}

impl Table {
    fn new(positions: Range<usize>, cx: &Context) -> Result<Self> {
        let charged = positions.len() as u64 * 20;
        cx.budget().take(charged)?;
        let first = vec![Entry { key: [NONE; 3], next: NONE }; positions.len()];
        Ok(Self {
            positions,
            first,
            more: Vec::new(),
            beyond: HashMap::new(),
            numbers: Vec::new(),
            before: Vec::new(),
            charged,
        })
    }

    /// The entry of a corner at position `at` of the range.
    #[inline]
    fn find(&self, at: usize, key: [u32; 3]) -> Result<usize, Missing> {
        let first = &self.first[at];
        if same(first.key, key) { Ok(at) } else { self.find_more(at, first.next, key) }
    }

    fn find_more(&self, at: usize, mut next: u32, key: [u32; 3]) -> Result<usize, Missing> {
        for _ in 0..LONGEST_CHAIN {
            let Some(More { entry, .. }) = self.more.get(next as usize) else { return Err(Missing::InChain) };
            if same(entry.key, key) {
                return Ok(self.first.len() + next as usize);
            }
            next = entry.next;
        }
        let beyond = self.beyond.get(&[at as u32, key[0], key[1], key[2]]);
        beyond.map_or(Err(Missing::Beyond), |&index| Ok(self.first.len() + index))
    }

    #[inline]
    fn add(&mut self, at: usize, key: [u32; 3]) {
        if self.first[at].key[0] == NONE {
            self.first[at].key = key;
        } else if let Err(missing) = self.find(at, key) {
            let mut entry = Entry { key, next: NONE };
            let index = self.more.len();
            match missing {
                Missing::InChain => entry.next = std::mem::replace(&mut self.first[at].next, index as u32),
                Missing::Beyond => {
                    self.beyond.insert([at as u32, key[0], key[1], key[2]], index);
                }
            }
            self.more.push(More { position: at as u32, entry });
        }
    }

    fn add_all(&mut self, jobs: &[Job], groups: &[Group], cx: &Context) -> Result<()> {
        for (elements, own) in jobs {
            for ((_, _, corners), &number) in elements.runs().zip(own) {
                let group = &groups[number as usize];
                for corners in corners.chunks(BLOCK) {
                    // Neighbours in the file are mostly neighbours in the mesh.
                    let ends = corners.iter().fold((NONE, 0), |(least, most), &[at, ..]| (at.min(least), at.max(most)));
                    if ends.0 as usize >= self.positions.end || (ends.1 as usize) < self.positions.start {
                        continue;
                    }
                    for corner in corners {
                        let at = (corner[0] as usize).wrapping_sub(self.positions.start);
                        if at < self.first.len() {
                            self.add(at, group.key(number, *corner));
                        }
                    }
                }
                cx.checkpoint()?;
            }
            let now = (self.first.len() * 20 + self.more.capacity() * 28 + self.beyond.capacity() * 25) as u64;
            cx.budget().take(now.saturating_sub(self.charged))?;
            self.charged = self.charged.max(now);
        }
        Ok(())
    }

    /// Numbers the vertices; returns what they are made of, for each group.
    fn number(&mut self, groups: usize) -> Vec<Vec<[u32; 3]>> {
        let mut vertices = vec![Vec::new(); groups];
        if let [vertices] = &mut vertices[..] {
            vertices.reserve_exact(self.first.len() + self.more.len());
        }
        let mut order: Vec<u32> = (0..self.more.len() as u32).collect();
        order.sort_by_key(|&index| self.more[index as usize].position);
        self.numbers = vec![0; self.first.len() + self.more.len()];
        let mut rest = order.into_iter().peekable();
        for (at, entry) in self.first.iter().enumerate() {
            let position = (self.positions.start + at) as u32;
            let mut number = |id: usize, [group, texcoord, normal]: [u32; 3]| {
                let vertices = &mut vertices[group as usize];
                self.numbers[id] = vertices.len() as u32;
                vertices.push([position, texcoord, normal]);
            };
            if entry.key[0] == NONE {
                continue;
            }
            number(at, entry.key);
            while let Some(index) = rest.next_if(|&index| self.more[index as usize].position as usize == at) {
                number(self.first.len() + index as usize, self.more[index as usize].entry.key);
            }
        }
        vertices
    }
}

/// Tables of consecutive ranges, each of this many positions.
struct Tables(Vec<Table>, u32);

impl Tables {
    /// The vertex of a corner, which has been added.
    #[inline]
    fn vertex(&self, position: u32, key: [u32; 3]) -> u32 {
        let table = &self.0[if self.0.len() == 1 { 0 } else { (position / self.1) as usize }];
        let found = table.find(position as usize - table.positions.start, key);
        found.map_or(NONE, |id| table.before[key[0] as usize] + table.numbers[id])
    }
}

/// Gives the groups their vertices.
fn tables(positions: usize, jobs: &[Job], groups: &mut [Group], cx: &Context) -> Result<Tables> {
    let size = positions.div_ceil(cx.threads()).max(1);
    let ranges = (0..positions).step_by(size).map(|start| start..positions.min(start + size)).collect();
    let known = &*groups;
    let (mut tables, mut vertices): (Vec<_>, Vec<_>) = cx
        .in_parts(ranges, |range, cx| {
            let mut table = Table::new(range, cx)?;
            table.add_all(jobs, known, cx)?;
            let vertices = table.number(known.len());
            Ok(((table, vertices), 0))
        })?
        .into_iter()
        .unzip();
    for (number, group) in groups.iter_mut().enumerate() {
        let mut before = 0;
        for (table, vertices) in tables.iter_mut().zip(&vertices) {
            table.before.push(before);
            before += vertices[number].len() as u32;
        }
        group.vertices = joined(vertices.iter_mut().map(|vertices| take(&mut vertices[number])).collect(), cx)?;
    }
    Ok(Tables(tables, size as u32))
}

/// What consecutive runs of a part add to a group.
struct Piece {
    group: u32,
    indices: Vec<u32>,
    sizes: Vec<u32>,
}

/// Gives the groups their indices.
fn fill(groups: &mut [Group], jobs: Vec<Job>, tables: &Tables, cx: &Context) -> Result<()> {
    let known = &*groups;
    let parts = cx.in_parts(jobs, |(elements, own), cx| {
        let mut pieces: Vec<Piece> = Vec::new();
        for ((_, run, corners), &number) in elements.runs().zip(&own) {
            let group = &known[number as usize];
            if pieces.last().is_none_or(|last| last.group != number) {
                pieces.push(Piece { group: number, indices: Vec::new(), sizes: Vec::new() });
            }
            let last = pieces.len() - 1;
            let piece = &mut pieces[last];
            let vertex = |corner: &[u32; 3]| tables.vertex(corner[0], group.key(number, *corner));
            if run.shape == Shape::Line {
                // A polyline of n corners is n - 1 pairs.
                for line in corners.chunks_exact(run.size as usize) {
                    piece.indices.extend(line.windows(2).flatten().map(vertex));
                }
            } else {
                piece.indices.extend(corners.iter().map(vertex));
            }
            if group.polygons {
                piece.sizes.extend(std::iter::repeat_n(run.size, run.count as usize));
            }
            cx.checkpoint()?;
        }
        Ok((pieces, 0))
    })?;
    let mut lists = vec![(Vec::new(), Vec::new()); groups.len()];
    for piece in parts.into_iter().flatten() {
        let (indices, sizes) = &mut lists[piece.group as usize];
        indices.push(piece.indices);
        sizes.push(piece.sizes);
    }
    for (group, (indices, sizes)) in groups.iter_mut().zip(lists) {
        group.indices = joined(indices, cx)?;
        group.sizes = joined(sizes, cx)?;
    }
    Ok(())
}
