//! The ffmpeg plugin, built as its README says, in a worker process: held against the programs it runs. Without them the tests
//! are skipped, but for the one of their absence.

use std::path::{Path, PathBuf};
use std::process::Command;

use mediary::record::{Media, Samples};
use mediary::{Registry, Source};
use serde_json::Value;

use crate::common::{json_lines, mediary, root, stderr};

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
        eprintln!("skipped: ffmpeg is not installed");
    }
    there
}

/// The plugin, in the folder of this build.
fn plugin() -> PathBuf {
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
    command.current_dir(folder).arg("--plugin").arg(plugin()).args(["--isolate", "auto"]);
    command
}

fn info(folder: &Path, name: &str) -> Value {
    let output = with_plugin(folder).args(["info", "--full", "--json", name]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut lines = json_lines(&output);
    assert_eq!((lines.len(), &lines[0]["format"]), (1, &"ffmpeg".into()));
    lines.remove(0)
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

        let options = mediary::ReadOptions::default();
        let source = Source::open(folder.join("poster.png"), &options.limits).unwrap();
        let record = Registry::builtin().open(&source, &options).unwrap().next().unwrap().unwrap();
        let Media::Image(image) = &record.media else { panic!("{record:?}") };
        assert_eq!((image.width(), image.height(), image.channels()), (width, height, 3), "{clip}");
        let arguments = format!("-v error -i {clip} -frames:v 1 -f rawvideo -pix_fmt {pixels} -");
        let raw = run(Command::new("ffmpeg").current_dir(folder).args(arguments.split(' ')));
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
    let raw =
        run(Command::new("ffmpeg").current_dir(folder).args(["-v", "error", "-i", "tone.mp3", "-f", "f32le", "-"]));
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
    std::fs::write(folder.path().join("page.ogg"), b"OggS\0\x02\0\0\0\0\0\0\0\0").unwrap();
    let output = with_plugin(folder.path()).env("PATH", "").args(["info", "page.ogg"]).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("ffmpeg was not found on PATH") && told.contains("apt install ffmpeg"), "{told}");
}
