//! Pictures of made scenes and clouds, with what must be seen.

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::point_cloud::Box3;
use mediary_core::record::scene::{
    AlphaMode, Material, Mesh, MorphTarget, Node, Primitive, Skin, Texture, TextureUse, Topology, Transform, Wrap,
};
use mediary_core::record::{
    AttributeData, AttributeSpec, Html, Image, PointChunk, PointCloud, Samples, ScalarType, Scene, Stream,
};
use mediary_core::{
    Budget, Context, Error, ErrorKind, Facts, Format, FormatInfo, FormatReader, Header, Kind, Limits, Media,
    MediaRecord, Registry, Result, Signature, Source, single,
};

use super::*;
use crate::camera::View;

const RED: [f32; 4] = [1.0, 0.0, 0.0, 1.0];
const GREEN: [f32; 4] = [0.0, 1.0, 0.0, 1.0];

/// Side of the pictures: the middle 88 % are filled.
const SIDE: u32 = 100;
const CLEAR: [u8; 4] = [0; 4];

/// A point of the plane that faces the camera: to the right, up, towards the camera.
fn facing([right, up, near]: [f32; 3]) -> [f32; 3] {
    let view = View::three_quarter(Up::Y);
    // Columns of the view are where the axes go; its rows are the camera's axes.
    let columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|axis| view.turn(axis));
    columns.map(|to| right * to[0] as f32 + up * to[1] as f32 + near * to[2] as f32)
}

/// A square that faces the camera, as two triangles.
fn square(reach: f32, near: f32, material: u32) -> Primitive {
    let corners = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]];
    Primitive {
        positions: corners.map(|[x, y]| facing([x * reach, y * reach, near])).into(),
        texcoords: vec![[[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]].into()],
        indices: Some([0, 1, 2, 0, 2, 3].into()),
        material: Some(material),
        ..Primitive::default()
    }
}

fn flat(color: [f32; 4]) -> Material {
    Material { base_color: color, unlit: true, ..Material::default() }
}

fn scene(primitives: Vec<Primitive>, materials: Vec<Material>) -> Scene {
    Scene { materials, ..Scene::of_meshes(vec![Mesh { primitives, ..Mesh::default() }]) }
}

fn options() -> PreviewOptions {
    PreviewOptions { size: SIDE, background: Background::Transparent, ..PreviewOptions::default() }
}

/// RGBA of the pixels of a picture.
struct Seen(Vec<[u8; 4]>);

impl Seen {
    fn of(media: impl Into<Media>, options: &PreviewOptions) -> Self {
        Self::with(media, &registry(), options)
    }

    fn with(media: impl Into<Media>, registry: &Registry, options: &PreviewOptions) -> Self {
        let image = picture(&mut MediaRecord::new(media), registry, options, &Context::new("preview")).unwrap();
        assert_eq!((image.width(), image.height()), (options.size, options.size));
        let channels = usize::from(image.channels());
        let Samples::U8(samples) = image.into_samples() else { panic!("not 8 bits") };
        Self(samples.chunks(channels).map(|p| [p[0], p[1], p[2], p.get(3).copied().unwrap_or(255)]).collect())
    }

    fn at(&self, x: usize, y: usize) -> [u8; 4] {
        self.0[y * SIDE as usize + x]
    }

    /// How many pixels are not clear.
    fn covered(&self) -> usize {
        self.0.iter().filter(|pixel| pixel[3] > 0).count()
    }
}

/// A format of images for textures: `TEX`, width, height, then RGBA.
struct Tex;

const TEX: FormatInfo = FormatInfo::new("tex", "Test texture", &[Kind::Image])
    .signatures(&[Signature { offset: 0, bytes: b"TEX", mask: &[] }])
    .reads();

impl Format for Tex {
    fn info(&self) -> &'static FormatInfo {
        &TEX
    }

    fn open(&self, source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        let bytes = source.head().to_vec();
        let header = Header::single(Facts::Image(ImageFacts::default()));
        Ok(single(
            move || Ok(header.clone()),
            move || {
                let samples = Samples::U8(bytes[5..].to_vec().into());
                Ok(MediaRecord::new(Image::new(bytes[3].into(), bytes[4].into(), 4, samples)?))
            },
        ))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::empty();
    registry.add(&Tex).unwrap();
    registry
}

fn texture(width: u8, height: u8, texels: &[[u8; 4]]) -> Texture {
    let bytes = [b"TEX", &[width, height][..], texels.as_flattened()].concat();
    Texture {
        name: String::new(),
        uri: None,
        media_type: String::new(),
        bytes: bytes.into(),
        wrap: [Wrap::Clamp; 2],
        nearest: true,
    }
}

fn uses(texture: u32) -> Option<TextureUse> {
    Some(TextureUse { texture, texcoord: 0, transform: None, factor: 1.0 })
}

#[test]
fn a_square_that_faces_the_camera_covers_these_pixels() {
    let seen = Seen::of(scene(vec![square(1.0, 0.0, 0)], vec![flat(RED)]), &options());
    for y in 0..100 {
        for x in 0..100 {
            let inside = (6..94).contains(&x) && (6..94).contains(&y);
            assert_eq!(seen.at(x, y), if inside { [255, 0, 0, 255] } else { CLEAR }, "{x} {y}");
        }
    }
}

#[test]
fn edges_are_smooth() {
    let mut triangle = square(1.0, 0.0, 0);
    triangle.indices = Some([0, 1, 2].into());
    let seen = Seen::of(scene(vec![triangle], vec![flat(RED)]), &options());
    // The diagonal halves the square: below it the colour, on it a mean, above it nothing.
    assert_eq!((seen.at(60, 70), seen.at(40, 30)), ([255, 0, 0, 255], CLEAR));
    let [.., alpha] = seen.at(50, 49);
    assert!((95..161).contains(&alpha), "{alpha}");
    let sum: f64 = seen.0.iter().map(|pixel| f64::from(pixel[3]) / 255.0).sum();
    assert!((sum - 88.0 * 88.0 / 2.0).abs() < 30.0, "{sum}");
}

#[test]
fn the_nearer_hides_the_farther_in_any_order() {
    let materials = vec![flat(RED), flat(GREEN)];
    let (back, front) = (square(1.0, 0.0, 0), square(0.4, 0.5, 1));
    for primitives in [vec![back.clone(), front.clone()], vec![front, back]] {
        let seen = Seen::of(scene(primitives, materials.clone()), &options());
        assert_eq!((seen.at(50, 50), seen.at(10, 50)), ([0, 255, 0, 255], [255, 0, 0, 255]));
    }
    // And one that cuts through the other is seen where it is nearer: on the right.
    let mut tilted = square(0.8, 0.0, 1);
    tilted.positions = [[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]].map(|[x, y]| facing([x, y, x])).into();
    let seen = Seen::of(scene(vec![square(1.0, 0.0, 0), tilted], materials), &options());
    assert_eq!((seen.at(30, 50), seen.at(70, 50)), ([255, 0, 0, 255], [0, 255, 0, 255]));
}

#[test]
fn winding_and_normals_do_not_matter() {
    let clay = || Material { metallic: 0.0, base_color: [0.5, 0.4, 0.3, 1.0], ..Material::default() };
    let mut turned = square(1.0, 0.0, 0);
    turned.indices = Some([0, 2, 1, 0, 3, 2].into());
    let mut inward = square(1.0, 0.0, 0);
    inward.normals = vec![facing([0.0, 0.0, -1.0]); 4].into();
    let mirrored = Scene {
        nodes: vec![Node {
            mesh: Some(0),
            transform: Transform::Trs {
                translation: [0.0; 3],
                rotation: [0.0, 0.0, 0.0, 1.0],
                // Through the origin: to the far side of it.
                scale: [-1.0; 3],
            },
            ..Node::default()
        }],
        ..scene(vec![square(1.0, 0.0, 0)], vec![clay()])
    };
    let expected = Seen::of(scene(vec![square(1.0, 0.0, 0)], vec![clay()]), &options());
    for scene in [scene(vec![turned], vec![clay()]), scene(vec![inward], vec![clay()]), mirrored] {
        let seen = Seen::of(scene, &options());
        let off = seen.0.iter().flatten().zip(expected.0.iter().flatten()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(2), "{off:?}");
    }
    let [r, g, b, _] = expected.at(50, 50);
    assert!(r > g && g > b && b > 40 && r < 250, "lit, in its own colour: {r} {g} {b}");
}

#[test]
fn the_upper_side_is_lit_more_than_the_lower() {
    let corner = |i: usize| [i & 1, i >> 1 & 1, i >> 2].map(|bit| bit as f32);
    let cube = Primitive {
        positions: (0..8).map(corner).collect(),
        indices: Some(
            // Above, in front, to the right: those that are seen.
            [2, 3, 7, 2, 7, 6, 4, 5, 7, 4, 7, 6, 1, 3, 7, 1, 7, 5].into(),
        ),
        ..Primitive::default()
    };
    let seen = Seen::of(scene(vec![cube], vec![]), &options());
    let [above, front, right] = [(50, 20), (30, 60), (75, 60)].map(|(x, y)| u32::from(seen.at(x, y)[1]));
    assert!(above > front + 8 && front > right + 8, "{above} {front} {right}");
}

#[test]
fn textures_stand_upright() {
    let four = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255]];
    let mut scene = scene(vec![square(1.0, 0.0, 0)], vec![Material { base_color_texture: uses(0), ..flat([1.0; 4]) }]);
    scene.textures = vec![texture(2, 2, &four)];
    let seen = Seen::of(scene, &options());
    let found = [(25, 25), (75, 25), (25, 75), (75, 75)].map(|(x, y)| seen.at(x, y));
    assert_eq!(found, four, "the first row of the file is above, its first pixel is to the left");
}

#[test]
fn a_texture_that_cannot_be_read_is_a_finding_and_leaves_the_colour() {
    let mut scene = scene(vec![square(1.0, 0.0, 0)], vec![Material { base_color_texture: uses(0), ..flat(RED) }]);
    scene.textures = vec![Texture { bytes: b"no picture"[..].to_vec().into(), ..texture(1, 1, &[]) }];
    let cx = Context::new("preview");
    let image = picture(&mut MediaRecord::new(scene), &registry(), &options(), &cx).unwrap();
    let Samples::U8(samples) = image.samples() else { panic!() };
    assert_eq!(samples[(50 * 100 + 50) * 4..][..4], [255, 0, 0, 255]);
    let codes: Vec<_> = cx.diagnostics().to_vec().into_iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["preview.texture"]);
}

#[test]
fn masks_cut_and_blends_mix() {
    let half = [[255, 255, 255, 255], [255, 255, 255, 0]];
    let make = |alpha, color: [f32; 4]| {
        let material = Material { base_color_texture: uses(0), alpha, ..flat(color) };
        let mut scene = scene(vec![square(1.0, 0.0, 0), square(1.0, 0.1, 1)], vec![flat(RED), material]);
        scene.textures = vec![texture(2, 1, &half)];
        let seen = Seen::of(scene, &options());
        (seen.at(20, 50), seen.at(80, 50))
    };
    assert_eq!(make(AlphaMode::Mask(0.5), GREEN), ([0, 255, 0, 255], [255, 0, 0, 255]));
    assert_eq!(make(AlphaMode::Opaque, GREEN), ([0, 255, 0, 255], [0, 255, 0, 255]), "alpha is ignored");
    let ([r, g, b, a], right) = make(AlphaMode::Blend, [0.0, 1.0, 0.0, 0.5]);
    // Half of each in linear light is 188 in sRGB.
    assert!(r.abs_diff(188) <= 1 && g.abs_diff(188) <= 1 && (b, a) == (0, 255), "{r} {g}");
    assert_eq!(right, [255, 0, 0, 255]);
}

#[test]
fn what_can_be_seen_through_is_laid_far_to_near() {
    let glass = |color: [f32; 3]| Material { alpha: AlphaMode::Blend, ..flat([color[0], color[1], color[2], 0.75]) };
    let materials = vec![glass([1.0, 0.0, 0.0]), glass([0.0, 1.0, 0.0])];
    let (far, near) = (square(1.0, 0.0, 0), square(1.0, 0.5, 1));
    let seen = [vec![far.clone(), near.clone()], vec![near, far]]
        .map(|primitives| Seen::of(scene(primitives, materials.clone()), &options()).at(50, 50));
    assert_eq!(seen[0], seen[1]);
    let [r, g, _, a] = seen[0];
    assert!(g > r && a == 239, "{:?}", seen[0]);
}

#[test]
fn a_skin_moves_vertices_and_replaces_the_node() {
    let mut skinned = square(1.0, 0.0, 1);
    skinned.joints = vec![[[1, 0, 0, 0]; 4].into()];
    skinned.weights = vec![[[0.5, 0.0, 0.0, 0.0]; 4].into()];
    let meshes = vec![
        Mesh { primitives: vec![square(1.0, 0.0, 0)], ..Mesh::default() },
        Mesh { primitives: vec![skinned], ..Mesh::default() },
    ];
    let to = facing([3.0, 0.0, 0.0]).map(f64::from);
    let moved = |translation| Transform::Trs { translation, rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0; 3] };
    let scene = Scene {
        nodes: vec![
            Node { mesh: Some(0), ..Node::default() },
            // Its own place counts for nothing.
            Node { mesh: Some(1), skin: Some(0), transform: moved([700.0, 0.0, 0.0]), ..Node::default() },
            Node { transform: moved(to), ..Node::default() },
        ],
        roots: vec![0, 1, 2],
        meshes,
        materials: vec![flat(RED), flat(GREEN)],
        skins: vec![Skin { joints: vec![0, 2], ..Skin::default() }],
        ..Scene::default()
    };
    // Squares at 0 and at 3, each 2 wide: 5 wide in all, a fifth of the frame apart.
    let seen = Seen::of(scene, &options());
    assert_eq!((seen.at(15, 50), seen.at(85, 50), seen.at(50, 50)), ([255, 0, 0, 255], [0, 255, 0, 255], CLEAR));
}

#[test]
fn morph_targets_have_their_weights() {
    let mut square = square(1.0, 0.0, 0);
    // At weight 0.5 the upper corners go down by 1: the square is half as high.
    let down = facing([0.0, -2.0, 0.0]);
    square.targets = vec![MorphTarget { positions: [[0.0; 3], [0.0; 3], down, down].into(), ..MorphTarget::default() }];
    let mut scene = scene(vec![square], vec![flat(RED)]);
    scene.meshes[0].weights = vec![0.5];
    let seen = Seen::of(scene, &options());
    assert_eq!((seen.at(10, 50), seen.at(50, 26), seen.at(50, 30)), ([255, 0, 0, 255], CLEAR, [255, 0, 0, 255]));
}

#[test]
fn polygons_lines_and_points_are_drawn() {
    let mut arrow = square(1.0, 0.0, 0);
    arrow.topology = Topology::Polygons;
    // A notch from above to the middle, which a fan from the first corner would fill.
    arrow.positions =
        [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [-1.0, 1.0]].map(|[x, y]| facing([x, y, 0.0])).into();
    (arrow.indices, arrow.face_sizes, arrow.texcoords) = (None, vec![5].into(), vec![]);
    let seen = Seen::of(scene(vec![arrow], vec![flat(RED)]), &options());
    assert_eq!((seen.at(50, 30), seen.at(50, 60), seen.at(10, 30)), (CLEAR, [255, 0, 0, 255], [255, 0, 0, 255]));

    let mut cross = square(1.0, 0.0, 0);
    (cross.topology, cross.indices) = (Topology::Lines, Some([0, 2, 1, 3].into()));
    let seen = Seen::of(scene(vec![cross], vec![flat(RED)]), &options());
    let [r, g, b, a] = seen.at(50, 50);
    assert!((r, g, b, seen.at(50, 20)) == (255, 0, 0, CLEAR) && a > 200);
    assert!((80..600).contains(&seen.covered()), "{}", seen.covered());

    let mut points = square(1.0, 0.0, 0);
    (points.topology, points.indices) = (Topology::Points, None);
    points.colors = vec![vec![[0.0, 1.0, 0.0, 1.0]; 4].into()];
    let seen = Seen::of(scene(vec![points], vec![flat(RED)]), &options());
    assert!((4..200).contains(&seen.covered()), "{}", seen.covered());
    assert!(seen.0.iter().all(|pixel| pixel[3] == 0 || pixel[1] > pixel[0]));
}

/// A ball of many triangles in a see-through box, textured.
fn ball() -> Scene {
    let (rings, steps) = (40, 60);
    let vertex = |ring: usize, step: usize| {
        let (s, c) = (ring as f32 / rings as f32 * std::f32::consts::PI).sin_cos();
        let (t, u) = (step as f32 / steps as f32 * std::f32::consts::TAU).sin_cos();
        [s * t, c, s * u]
    };
    let places: Vec<_> = (0..=rings).flat_map(|ring| (0..=steps).map(move |step| (ring, step))).collect();
    let corner = |ring: usize, step: usize| (ring * (steps + 1) + step) as u32;
    let faces = (0..rings).flat_map(|ring| (0..steps).map(move |step| (ring, step)));
    let indices = faces.flat_map(|(r, s)| {
        [corner(r, s), corner(r + 1, s), corner(r + 1, s + 1), corner(r, s), corner(r + 1, s + 1), corner(r, s + 1)]
    });
    let positions: Vec<_> = places.iter().map(|&(ring, step)| vertex(ring, step)).collect();
    let ball = Primitive {
        normals: positions.clone().into(),
        positions: positions.into(),
        texcoords: vec![places.iter().map(|&(r, s)| [s as f32 / 10.0, r as f32 / 10.0]).collect()],
        indices: Some(indices.collect()),
        material: Some(0),
        ..Primitive::default()
    };
    let skin = Material { base_color_texture: uses(0), roughness: 0.3, metallic: 0.2, ..Material::default() };
    let glass = Material { alpha: AlphaMode::Blend, base_color: [0.2, 0.5, 0.9, 0.3], ..Material::default() };
    let mut scene = scene(vec![ball, square(1.2, 1.3, 1), square(0.7, 1.6, 1)], vec![skin, glass]);
    scene.textures = vec![texture(2, 2, &[[250, 80, 20, 255], [90; 4], [20, 30, 200, 255], [255; 4]])];
    scene
}

/// A wave of points with categories, a box and its label.
fn wave(count: usize) -> PointCloud {
    let schema = vec![AttributeSpec::new("category", ScalarType::U8, 1)];
    let side = (count as f64).sqrt() as usize;
    let at = |i: usize| [(i % side) as f64 / side as f64, (i / side) as f64 / side as f64];
    let numbers: Vec<_> = (0..count).collect();
    let chunks = numbers.chunks(1000).map(|part| {
        let positions: Vec<_> = part.iter().map(|&i| at(i)).map(|[x, y]| [x, y, (x * 9.0).sin() * 0.1]).collect();
        let categories: Vec<u8> = part.iter().map(|i| (i / 997 % 5) as u8).collect();
        PointChunk::new(positions, vec![AttributeData::U8(categories.into())], &schema).unwrap()
    });
    let chunks: Vec<_> = chunks.collect();
    let mut cloud = PointCloud::new(schema, Stream::from_chunks(chunks));
    cloud.boxes = vec![unit_box(Some("car"))];
    cloud
}

fn unit_box(label: Option<&str>) -> Box3 {
    let corner = |i: usize| [0.3 + 0.3 * (i & 1) as f64, 0.3 + 0.3 * (i >> 1 & 1) as f64, 0.3 * (i >> 2) as f64];
    Box3 { corners: std::array::from_fn(corner), label: label.map(Into::into), color: None, score: None }
}

#[test]
fn pictures_do_not_depend_on_threads() {
    let on = |media: Media, threads: usize| Seen::of(media, &PreviewOptions { threads, ..options() }).0;
    for make in [|| Media::from(ball()), || Media::from(wave(20_000))] {
        let one = on(make(), 1);
        assert!(one.iter().filter(|pixel| pixel[3] > 0).count() > 1000);
        for threads in [2, 3, 7] {
            assert!(on(make(), threads) == one, "{threads} threads");
        }
    }
}

#[test]
fn surfaces_of_points_are_closed() {
    for count in [2500, 10_000, 90_000] {
        let mut cloud = wave(count);
        cloud.boxes.clear();
        let seen = Seen::of(cloud, &PreviewOptions { size: 100, ..options() });
        // Rows of pixels through the middle have next to no holes: on the slopes points lie farther apart.
        for y in [48, 50, 52] {
            let row: Vec<bool> = (0..100).map(|x| seen.at(x, y)[3] > 200).collect();
            let (first, last) = (row.iter().position(|on| *on).unwrap(), row.iter().rposition(|on| *on).unwrap());
            let holes = row[first..=last].iter().filter(|on| !**on).count();
            assert!(last - first > 40 && holes * 20 <= last - first, "{count}: {holes} holes in {first}..{last}");
        }
    }
}

#[test]
fn colours_of_points_come_in_this_order() {
    let one = |schema: Vec<AttributeSpec>, values: Vec<AttributeData>| {
        let positions = vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 1.0, 1.0], [1.0, 1.0, 0.2]];
        let chunk = PointChunk::new(positions, values, &schema).unwrap();
        let seen = Seen::of(PointCloud::new(schema, Stream::from_chunks(vec![chunk])), &options());
        let mut colors: Vec<_> = seen.0.into_iter().filter(|p| p[3] == 255).map(|p| [p[0], p[1], p[2]]).collect();
        colors.sort_unstable();
        colors.dedup();
        colors
    };
    let color = AttributeSpec::new("color", ScalarType::U8, 3);
    let category = AttributeSpec::new("category", ScalarType::I32, 1);
    let blue = AttributeData::U8([0, 0, 250].repeat(4).into());
    let black = AttributeData::U8([0, 0, 0].repeat(4).into());
    let classes = AttributeData::I32([1, 1, 2, 2].into());
    assert_eq!(one(vec![color.clone(), category.clone()], vec![blue, classes.clone()]), [[0, 0, 250]]);
    let palette = [[0x56, 0xB4, 0xE9], [0xE6, 0x9F, 0x00]];
    assert_eq!(
        one(vec![color, category.clone()], vec![black, classes]),
        palette,
        "colours that are all black are none"
    );
    let same = AttributeData::I32([3; 4].into());
    assert!(one(vec![category], vec![same]).len() >= 4, "one class tells nothing: heights do");
    let gray = one(
        vec![AttributeSpec::new("intensity", ScalarType::F32, 1)],
        vec![AttributeData::F32([0.0, 1.0, 2.0, 3.0].into())],
    );
    assert!(gray.len() >= 4 && gray.iter().all(|[r, g, b]| r == g && g == b), "{gray:?}");
}

#[test]
fn stray_points_do_not_shrink_the_rest() {
    let covered = |stray: Option<[f64; 3]>| {
        let mut positions: Vec<_> =
            (0..2500).map(|i| [f64::from(i % 50), f64::from(i / 50), f64::from(i % 7) * 0.1]).collect();
        positions.extend(stray);
        let chunk = PointChunk::new(positions, Vec::new(), &[]).unwrap();
        Seen::of(PointCloud::new(Vec::new(), Stream::from_chunks(vec![chunk])), &options()).covered()
    };
    let alone = covered(None);
    assert!(alone > 1500);
    for stray in [[1e6, 0.0, 0.0], [0.0, -1e30, 0.0], [f64::NAN, 0.0, 0.0], [1e308; 3]] {
        assert_eq!(covered(Some(stray)), alone, "{stray:?}");
    }
}

#[test]
fn boxes_have_edges_and_labels() {
    let with = |label: Option<&str>, boxes: bool| {
        let mut cloud = wave(400);
        cloud.boxes = if boxes { vec![unit_box(label)] } else { Vec::new() };
        Seen::of(cloud, &PreviewOptions { size: 100, ..options() })
    };
    let (none, lines, labelled) = (with(None, false), with(None, true), with(Some("car"), true));
    let differ = |a: &Seen, b: &Seen| a.0.iter().zip(&b.0).filter(|(a, b)| a != b).count();
    assert!(differ(&none, &lines) > 100, "edges");
    let letters = differ(&lines, &labelled);
    assert!((60..900).contains(&letters), "{letters} pixels of three letters");
    assert!(labelled.0.iter().any(|pixel| pixel[0] > 220 && pixel[1] > 200 && pixel[2] > 150), "light letters");
}

#[test]
fn hostile_scenes_are_pictures_or_errors() {
    let bad = |positions: Vec<[f32; 3]>| {
        let indices = (0..positions.len() as u32).collect();
        scene(vec![Primitive { positions: positions.into(), indices: Some(indices), ..Primitive::default() }], vec![])
    };
    let mut nowhere = scene(vec![square(1.0, 0.0, 0)], vec![flat([f32::NAN; 4])]);
    nowhere.nodes[0].transform = Transform::Matrix([f64::NAN; 16]);
    let mut huge = scene(vec![square(1.0, 0.0, 0)], vec![flat(RED)]);
    huge.nodes[0].transform = Transform::Matrix(std::array::from_fn(|i| if i % 5 == 0 { 1e300 } else { 0.0 }));
    let mut odd = scene(vec![square(1.0, 0.0, 0)], vec![Material::default()]);
    odd.meshes[0].primitives[0].normals = vec![[f32::INFINITY, f32::NAN, 0.0]; 4].into();
    odd.meshes[0].primitives[0].texcoords = vec![vec![[f32::NAN, 1e38]; 4].into()];
    odd.materials[0].base_color_texture = uses(0);
    odd.textures = vec![texture(1, 1, &[[9; 4]])];
    let scenes = vec![
        Scene::default(),
        bad(vec![]),
        bad(vec![[0.0; 3]; 3]),
        bad(vec![[1.0; 3]]),
        bad(vec![[f32::NAN; 3]; 3]),
        bad(vec![[0.0; 3], [f32::INFINITY, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        bad(vec![[-3e38; 3], [3e38, 0.0, 0.0], [0.0, 3e38, 0.0]]),
        bad(vec![[0.0; 3], [1e30, 0.0, 0.0], [0.0, 1e30, 0.0]]),
        bad(vec![[0.0; 3], [1e-40, 0.0, 0.0], [0.0, 1e-40, 0.0]]),
        nowhere,
        huge,
        odd,
    ];
    for (number, scene) in scenes.into_iter().enumerate() {
        for size in [16, SIDE] {
            let made = picture(
                &mut MediaRecord::new(scene.clone()),
                &registry(),
                &PreviewOptions { size, ..options() },
                &Context::new("preview"),
            );
            made.unwrap_or_else(|error| panic!("scene {number}: {error}"));
        }
    }
    let broken = Scene { roots: vec![7], ..Scene::default() };
    let error = picture(&mut MediaRecord::new(broken), &registry(), &options(), &Context::new("preview")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn hostile_clouds_are_pictures() {
    let of = |positions: Vec<[f64; 3]>| {
        let chunk = PointChunk::new(positions, Vec::new(), &[]).unwrap();
        PointCloud::new(Vec::new(), Stream::from_chunks(vec![chunk]))
    };
    let mut boxes = of(vec![[0.0; 3]; 3]);
    let odd =
        [[f64::NAN; 3], [1e308; 3], [-1e308; 3], [0.0; 3], [1.0; 3], [1e30, 0.0, 0.0], [0.0; 3], [f64::INFINITY; 3]];
    boxes.boxes = vec![Box3 { corners: odd, label: Some("\u{0}".into()), color: Some([f64::NAN; 3]), score: None }; 9];
    for cloud in [
        of(vec![]),
        of(vec![[5.0; 3]]),
        of(vec![[f64::NAN; 3]; 4]),
        of(vec![[1e308, 0.0, 0.0], [-1e308, 1e308, 0.0]]),
        of(vec![[0.0; 3]; 5000]),
        boxes,
    ] {
        Seen::of(cloud, &options());
    }
}

#[test]
fn a_picture_without_anything_says_so() {
    let cx = Context::new("preview");
    picture(&mut MediaRecord::new(Scene::default()), &registry(), &options(), &cx).unwrap();
    assert_eq!(cx.diagnostics().to_vec()[0].code, "preview.empty");
}

#[test]
fn limits_hold() {
    let budget = Context::builder("preview").budget(Budget::new(100_000)).build();
    let error = picture(&mut MediaRecord::new(ball()), &registry(), &options(), &budget).unwrap_err();
    assert_eq!(error.limit_name(), Some("alloc_bytes"));
    let mut limits = Limits::default();
    limits.elements = 100;
    let few = Context::builder("preview").limits(limits).build();
    let error = picture(&mut MediaRecord::new(ball()), &registry(), &options(), &few).unwrap_err();
    assert_eq!(error.limit_name(), Some("elements"));
    let stopped = Context::new("preview");
    stopped.cancel().cancel();
    let error = picture(&mut MediaRecord::new(ball()), &registry(), &options(), &stopped).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn kinds_without_pictures_say_so() {
    let page = Media::from(Html { text: "<p>".into(), title: String::new(), has_external_refs: false });
    let error: Error =
        picture(&mut MediaRecord::new(page), &registry(), &options(), &Context::new("preview")).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("html"), "{error:?}");
}

#[test]
fn backgrounds() {
    let corner = |background| {
        let scene = scene(vec![square(1.0, 0.0, 0)], vec![flat(RED)]);
        Seen::of(scene, &PreviewOptions { background, ..options() }).at(0, 0)
    };
    assert_eq!(corner(Background::Color([1, 2, 3])), [1, 2, 3, 255]);
    assert_eq!(corner(Background::Transparent), CLEAR);
    assert!(corner(Background::Studio)[0] > 150);
}
