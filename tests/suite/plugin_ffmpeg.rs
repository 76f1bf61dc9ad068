//! The ffmpeg plugin, built as its README says, in a worker process: held against the programs it runs. Without them the tests
//! are skipped, but for the one of their absence; with `MEDIARY_REQUIRE_FFMPEG` set they must be there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mediary::record::{Image, Media, Samples};
use mediary::{Registry, Source};
use serde_json::Value;

use crate::common::{corpus, files_below, json_lines, mediary, root, stderr};

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output.stdout
}

/// Whether both programs are there.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn installed() -> bool {
    let there = ["ffmpeg", "ffprobe"].iter().all(|name| Command::new(name).arg("-version").output().is_ok());
    if !there {
        assert!(std::env::var_os("MEDIARY_REQUIRE_FFMPEG").is_none(), "ffmpeg is not installed");
        eprintln!("skipped: ffmpeg is not installed");
    }
    there
}

/// The plugin, in the folder of this build.
static PLUGIN: LazyLock<PathBuf> = LazyLock::new(build);

fn build() -> PathBuf {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--locked", "-p", "mediary-ffmpeg"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    run(&mut cargo);
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    folder.join(format!("{prefix}mediary_ffmpeg{suffix}"))
}

fn make(folder: &Path, arguments: &str) {
    run(Command::new("ffmpeg").current_dir(folder).args(["-v", "error"]).args(arguments.split(' ')));
}

fn with_plugin(folder: &Path) -> Command {
    let mut command = mediary();
    command.current_dir(folder).arg("--plugin").arg(&*PLUGIN).args(["--isolate", "auto"]);
    command
}

/// The record of `info --full`, read by the plugin, or the error.
fn told(folder: &Path, arguments: &[&str], name: &str) -> (Output, Value) {
    let output = with_plugin(folder)
        .args(["info", "--full", "--json", "--from", "ffmpeg"])
        .args(arguments)
        .arg(name)
        .output()
        .unwrap();
    let mut lines = json_lines(&output);
    assert_eq!(lines.len(), 1, "{name}: {lines:?}\n{}", stderr(&output));
    let line = lines.remove(0);
    (output, line)
}

fn info(folder: &Path, name: &str) -> Value {
    let (output, line) = told(folder, &[], name);
    assert_eq!((output.status.code(), &line["format"]), (Some(0), &"ffmpeg".into()), "{name}: {}", stderr(&output));
    line
}

/// Codes of the diagnostics that are more than notes.
fn complaints(line: &Value) -> Vec<&str> {
    let all = line["diagnostics"].as_array().map_or(&[][..], |all| all);
    all.iter().filter(|one| one["severity"] != "info").map(|one| one["code"].as_str().unwrap()).collect()
}

/// The only image of a file that a built-in format reads.
fn image(path: &Path) -> Image {
    let options = mediary::ReadOptions::default();
    let source = Source::open(path, &options.limits).unwrap();
    let record = Registry::builtin().open(&source, &options).unwrap().next().unwrap().unwrap();
    let Media::Image(image) = record.media else { panic!("{record:?}") };
    image
}

/// What ffmpeg itself gives for `arguments`.
fn ffmpeg(folder: &Path, arguments: &str) -> Vec<u8> {
    run(Command::new("ffmpeg").current_dir(folder).args(["-v", "error", "-nostdin"]).args(arguments.split(' ')))
}

#[test]
fn the_poster_of_a_clip_is_the_first_frame_that_ffmpeg_gives() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(
        folder,
        "-f lavfi -i testsrc=size=64x48:rate=10:duration=1 -f lavfi -i sine=duration=1 -c:v ffv1 -pix_fmt yuv420p -c:a flac clip.mkv",
    );
    make(folder, "-f lavfi -i testsrc=size=62x46:rate=10:duration=1 -c:v ffv1 -pix_fmt yuv420p10le deep.mkv");
    for (clip, pixels, width, height) in [("clip.mkv", "rgb24", 64, 48), ("deep.mkv", "rgb48be", 62, 46)] {
        let output = with_plugin(folder).args(["convert", "--force", clip, "poster.png"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{clip}: {}", stderr(&output));
        assert!(stderr(&output).contains("png.frames"), "{clip}: {}", stderr(&output));

        let image = image(&folder.join("poster.png"));
        assert_eq!((image.width(), image.height(), image.channels()), (width, height, 3), "{clip}");
        let raw = ffmpeg(folder, &format!("-i {clip} -frames:v 1 -f rawvideo -pix_fmt {pixels} -"));
        let expected = match pixels {
            "rgb24" => Samples::U8(raw.into()),
            _ => Samples::U16(raw.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect()),
        };
        assert!(image.samples() == &expected, "{clip}: the pixels are not those of ffmpeg");
    }
    let facts = &info(folder, "clip.mkv")["facts"];
    assert_eq!((&facts["frames"], &facts["width"], &facts["codec"]), (&10.into(), &64.into(), &"ffv1".into()));
}

#[test]
fn sound_has_the_samples_rate_and_channels_that_ffprobe_counts() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=1 -ac 2 -c:a libmp3lame tone.mp3");
    make(folder, "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=1 -ac 1 -c:a pcm_s24be tone.aiff");
    let mp3 = &info(folder, "tone.mp3")["facts"];
    assert_eq!((&mp3["codec"], &mp3["sample_rate"], &mp3["channels"]), (&"mp3".into(), &44_100.into(), &2.into()));
    let raw = ffmpeg(folder, "-i tone.mp3 -f f32le -");
    assert_eq!(mp3["frames"], raw.len() as u64 / 8);
    let aiff = &info(folder, "tone.aiff")["facts"];
    assert_eq!((&aiff["frames"], &aiff["sample_rate"]), (&48_000.into(), &48_000.into()));
    assert_eq!((&aiff["channels"], &aiff["bit_depth"]), (&1.into(), &24.into()));
    let probed = run(Command::new("ffprobe").current_dir(folder).args(
        "-v error -select_streams a -show_entries stream=sample_rate,channels,duration_ts -of csv=p=0 tone.aiff"
            .split(' '),
    ));
    assert_eq!(String::from_utf8(probed).unwrap().trim(), "48000,1,48000");
}

#[test]
fn without_the_programs_it_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    // A page of one segment, and nothing in it.
    fs::write(folder.path().join("page.ogg"), b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\0").unwrap();
    let output = with_plugin(folder.path()).env("PATH", "").args(["info", "page.ogg"]).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("ffmpeg was not found on PATH") && told.contains("apt install ffmpeg"), "{told}");
}

/// Name, codecs and switches of clips and sounds of three seconds, one a container.
const CLIPS: &[(&str, &str)] = &[
    ("clip.mkv", "-c:v mpeg4 -c:a flac"),
    ("clip.avi", "-c:v mpeg4 -c:a mp2"),
    ("clip.ts", "-c:v mpeg2video -c:a mp2"),
    ("clip.mpg", "-c:v mpeg2video -c:a mp2 -r 25"),
    ("clip.flv", "-c:v flv -c:a pcm_s16le"),
    ("clip.wmv", "-c:v wmv2 -c:a wmav2"),
    ("clip.rm", "-c:v rv10 -c:a ac3"),
    ("clip.nut", "-c:v ffv1 -c:a pcm_s16le"),
    ("clip.mxf", "-c:v mpeg2video -r 25 -c:a pcm_s16le -ar 48000"),
    ("clip.y4m", "-pix_fmt yuv420p -an"),
    ("clip.m2v", "-c:v mpeg2video -an"),
    ("clip.mp4", "-c:v mpeg4 -c:a aac"),
];
const SOUNDS: &[(&str, &str)] = &[
    ("tone.ogg", "-c:a flac"),
    ("tone.mp2", "-c:a mp2"),
    ("tone.aac", "-c:a aac"),
    ("tone.ac3", "-c:a ac3"),
    ("tone.eac3", "-c:a eac3"),
    ("tone.dts", "-c:a dca -strict -2"),
    ("tone.aiff", "-c:a pcm_s16be"),
    ("tone.au", "-c:a pcm_s16be"),
    ("tone.caf", "-c:a pcm_s16be"),
    ("tone.wv", "-c:a wavpack"),
    ("tone.tta", "-c:a tta"),
    ("tone.voc", "-c:a pcm_u8"),
    ("tone.w64", "-c:a pcm_s16le"),
    ("tone.m4a", "-c:a alac"),
];

/// Makes them all: their names.
fn make_all(folder: &Path) -> Vec<&'static str> {
    let (picture, sound) = (
        "-f lavfi -i testsrc=size=64x48:rate=25:duration=3",
        "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=3",
    );
    CLIPS.iter().for_each(|(name, switches)| make(folder, &format!("{picture} {sound} {switches} {name}")));
    SOUNDS.iter().for_each(|(name, switches)| make(folder, &format!("{sound} {switches} {name}")));
    CLIPS.iter().chain(SOUNDS).map(|made| made.0).collect()
}

#[test]
fn a_file_that_was_cut_is_told_from_a_whole_one() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The decoder fills in what is missing of a last picture, without a word.
    for name in make_all(folder).into_iter().filter(|name| *name != "clip.m2v") {
        let line = info(folder, name);
        assert_eq!(complaints(&line), [""; 0], "{name}: {line}");

        let bytes = fs::read(folder.join(name)).unwrap();
        for length in [bytes.len() / 2 - 31, bytes.len() / 5 * 3 + 5] {
            let cut = format!("cut-{name}");
            fs::write(folder.join(&cut), &bytes[..length]).unwrap();
            let (output, line) = told(folder, &[], &cut);
            let codes = complaints(&line);
            let known = codes.iter().all(|code| ["ffmpeg.truncated", "ffmpeg.damaged"].contains(code));
            match output.status.code() {
                Some(0) => assert!(!codes.is_empty() && known, "{cut} of {length} bytes: {line}"),
                code => assert_eq!((code, &line["code"]), (Some(1), &"malformed".into()), "{cut}: {line}"),
            }
        }
        let (output, line) = told(folder, &["--strict"], &format!("cut-{name}"));
        assert_eq!((output.status.code(), &line["code"]), (Some(1), &"malformed".into()), "{name}: {line}");
    }
}

#[test]
fn more_than_the_header_says_is_told_too() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "-f lavfi -i sine=sample_rate=8000:duration=1 -c:a flac tone.flac");
    let mut bytes = fs::read(folder.join("tone.flac")).unwrap();
    // The number of samples in the stream information: 8000 becomes 4000.
    assert_eq!(bytes[22..26], 8000_u32.to_be_bytes());
    bytes[22..26].copy_from_slice(&4000_u32.to_be_bytes());
    fs::write(folder.join("more.flac"), bytes).unwrap();
    assert_eq!(complaints(&info(folder, "tone.flac")), [""; 0]);
    let line = info(folder, "more.flac");
    assert_eq!((complaints(&line), &line["facts"]["frames"]), (vec!["ffmpeg.length"], &8000.into()), "{line}");
}

#[test]
fn what_the_decoder_complains_of_is_kept_in_its_words() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "-f lavfi -i testsrc=size=64x48:rate=25:duration=1 -c:v mpeg2video clip.m2v");
    let mut bytes = fs::read(folder.join("clip.m2v")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0x55);
    fs::write(folder.join("bad.m2v"), bytes).unwrap();
    let line = info(folder, "bad.m2v");
    let damaged = line["diagnostics"].as_array().unwrap().iter().find(|one| one["code"] == "ffmpeg.damaged");
    let message = damaged.unwrap_or_else(|| panic!("{line}"))["message"].as_str().unwrap();
    // `[mpeg2video @ 0x5581] ac-tex damaged at 1 2` is what it says alone.
    let arguments = ["-nostdin", "-v", "error", "-i", "bad.m2v", "-f", "null", "-"];
    let alone = stderr(&Command::new("ffmpeg").current_dir(folder).args(arguments).output().unwrap());
    let words = alone.lines().find_map(|line| line.split_once("] ")).unwrap_or_else(|| panic!("{alone}")).1;
    assert!(message.contains(words) && !message.contains("0x"), "{message}\n{alone}");
}

#[test]
fn a_rotated_clip_gives_upright_frames() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "-f lavfi -i testsrc=size=64x48:rate=10:duration=0.5 -c:v png clip.mov");
    let mut bytes = fs::read(folder.join("clip.mov")).unwrap();
    // The matrix of the track: a quarter turn clockwise (ISO/IEC 14496-12, 8.3.2).
    let at = bytes.windows(4).position(|name| name == b"tkhd").unwrap() + 4 + 40;
    let matrix = [0, 0x1_0000, 0, 0xFFFF_0000, 0, 0, 0, 0, 0x4000_0000_u32];
    assert_eq!(bytes[at..at + 4], 0x1_0000_u32.to_be_bytes());
    bytes[at..at + 36].copy_from_slice(matrix.map(u32::to_be_bytes).as_flattened());
    fs::write(folder.join("turned.mov"), bytes).unwrap();

    let line = info(folder, "turned.mov");
    assert_eq!(line["facts"]["rotation"], 90, "{line}");
    let output =
        with_plugin(folder).args(["convert", "--from", "ffmpeg", "turned.mov", "poster.png"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let image = image(&folder.join("poster.png"));
    assert_eq!((image.width(), image.height()), (48, 64));
    let lying = ffmpeg(folder, "-i clip.mov -frames:v 1 -f rawvideo -pix_fmt rgb24 -");
    let (lying, _) = lying.as_chunks::<3>();
    // The lower left corner comes to the upper left.
    let upright: Vec<u8> = (0..64 * 48).flat_map(|place| lying[(47 - place % 48) * 64 + place / 48]).collect();
    assert!(image.samples() == &Samples::U8(upright.into()), "the pixels are not those of ffmpeg, turned");
}

#[test]
fn limits_end_it_with_their_name() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "-f lavfi -i testsrc=size=64x48:rate=10:duration=1 -c:v ffv1 clip.mkv");
    for limit in ["pixels=3071", "frames=9", "alloc_bytes=20000", "wall_ms=1"] {
        let (output, line) = told(folder, &["--limit", limit], "clip.mkv");
        let name = limit.split_once('=').unwrap().0;
        assert_eq!((output.status.code(), &line["code"]), (Some(1), &"limit".into()), "{limit}: {line}");
        assert!(line["message"].as_str().unwrap().contains(name), "{limit}: {line}");
    }
    let (output, line) = told(folder, &["--limit", "pixels=3072", "--limit", "frames=10"], "clip.mkv");
    assert_eq!((output.status.code(), &line["facts"]["frames"]), (Some(0), &10.into()), "{line}");
}

/// Processes that have `file` as their standard input.
#[cfg(target_os = "linux")]
fn readers(file: &Path) -> usize {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path().join("fd/0")).ok());
    processes.filter(|input| input == file).count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_is_cut_short_leaves_no_child_behind() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    // Quickly made, and long to decode: 3 GB of pixels.
    make(&folder, "-f lavfi -i color=size=1280x720:rate=30:duration=40 -c:v mpeg4 -g 300 long.mkv");
    let file = folder.join("long.mkv");
    for interrupt in [false, true] {
        let mut command = with_plugin(&folder);
        command.args(["info", "--full", "--json", "--timeout", if interrupt { "10m" } else { "1500ms" }, "long.mkv"]);
        let started = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let within = |seconds: u64, done: &dyn Fn() -> bool| {
            while !done() && started.elapsed() < Duration::from_secs(seconds) {
                std::thread::sleep(Duration::from_millis(5));
            }
            done()
        };
        assert!(within(20, &|| readers(&file) > 0), "ffmpeg was not started");
        if interrupt {
            run(Command::new("kill").args(["-INT", &child.id().to_string()]));
        }
        let output = child.wait_with_output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{}", stderr(&output));
        if !interrupt {
            let line = &json_lines(&output)[0];
            assert_eq!(line["code"], "limit", "{line}");
            assert!(line["message"].as_str().unwrap().contains("wall_ms"), "{line}");
        }
        assert!(within(40, &|| readers(&file) == 0), "a child is left");
    }
}

/// Formats that speak up, best first, by the path of the input.
fn detected(paths: &[PathBuf]) -> Vec<(String, Vec<String>)> {
    let output = with_plugin(&root()).args(["detect", "--json"]).args(paths).output().unwrap();
    let lines = json_lines(&output).into_iter().filter(|line| line["type"] == "detection");
    let names = |line: &Value| {
        let candidates = line["candidates"].as_array().unwrap().iter();
        candidates.map(|candidate| candidate["format"].as_str().unwrap().to_owned()).collect()
    };
    lines.map(|line| (line["path"].as_str().unwrap().to_owned(), names(&line))).collect()
}

#[test]
fn what_ffmpeg_writes_is_claimed_and_formats_that_are_built_in_stay_first() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paths: Vec<_> = make_all(folder).into_iter().map(|name| folder.join(name)).collect();
    make(folder, "-f lavfi -i sine=duration=1 tone.wav");
    make(folder, "-f lavfi -i sine=duration=1 tone.flac");
    paths.extend(["tone.wav", "tone.flac"].map(|name| folder.join(name)));
    let detected = detected(&paths);
    assert_eq!(detected.len(), paths.len());
    for (path, formats) in detected {
        let native = ["wav", "flac", "mp4"].into_iter().find(|id| path.ends_with(&format!(".{id}")));
        let expected: Vec<_> = native.into_iter().chain(["ffmpeg"]).collect();
        assert_eq!(formats, expected, "{path}");
    }
}

#[test]
fn nothing_of_the_corpus_but_sound_and_video_is_claimed() {
    let Some(corpus) = corpus() else { return };
    let (media, others): (Vec<_>, Vec<_>) = files_below(&corpus)
        .into_iter()
        .filter(|path| !path.starts_with(corpus.join("bad")))
        .partition(|path| path.starts_with(corpus.join("audio")) || path.starts_with(corpus.join("video")));
    let claims = |formats: &[String]| formats.iter().any(|id| id == "ffmpeg");
    let wrong: Vec<_> = detected(&others).into_iter().filter(|(_, formats)| claims(formats)).collect();
    assert!(others.len() > 200 && wrong.is_empty(), "{} files: {wrong:?}", others.len());
    // A WAVE whose numbers are big-endian, which ffmpeg does not read.
    let unread = |path: &str| path.ends_with("test-44100Hz-2ch-32bit-float-be.wav");
    let missed = detected(&media).into_iter().filter(|(path, formats)| !claims(formats) && !unread(path));
    assert_eq!(missed.collect::<Vec<_>>(), []);
}

#[test]
fn whole_files_of_the_corpus_give_no_alarm() {
    let Some(corpus) = corpus().filter(|_| installed()) else { return };
    let paths = ["audio", "video"].map(|kind| files_below(&corpus.join(kind))).concat();
    let mut command = with_plugin(&corpus);
    let output = command.args(["info", "--full", "--json", "--from", "ffmpeg"]).args(&paths).output().unwrap();
    let lines = json_lines(&output);
    assert_eq!(lines.len(), paths.len(), "{}", stderr(&output));
    let (refused, read): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["type"] == "error");
    let alarmed: Vec<_> = read.iter().filter(|line| !complaints(line).is_empty()).collect();
    assert!(alarmed.is_empty(), "{alarmed:?}");
    // Two have no frames, and one is a WAVE that ffmpeg does not read.
    let unread = ["testMP4_QuickTimeMetadata.mov", "AudioVideoInterleave.avi", "test-44100Hz-2ch-32bit-float-be.wav"];
    let known = |line: &&Value| unread.iter().any(|name| line["path"].as_str().unwrap().ends_with(name));
    assert!(refused.iter().all(known) && read.len() > 50, "{refused:?}");
}
