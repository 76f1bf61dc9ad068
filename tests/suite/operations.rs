//! Operations between reading and writing, as a user asks for them.

use crate::common::{json_lines, run, stderr};

const FOX: &str = "tests/data/glb/Fox.glb";

fn extent(arguments: &[&str]) -> f64 {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let bounds = &json_lines(&output)[0]["facts"]["bounds"];
    let at = |end: &str| bounds[end][1].as_f64().expect("bounds");
    at("max") - at("min")
}

#[test]
fn a_conversion_scales_and_turns() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("fox.obj").display().to_string();
    let before = extent(&["info", "--full", "--json", FOX]);
    assert_eq!(run(&["convert", FOX, &output, "-o", "scene.scale=0.5"]).status.code(), Some(0));
    let after = extent(&["info", "--full", "--json", &output]);
    assert!((after - before / 2.0).abs() < 1e-4 * before, "{before} {after}");
}

#[test]
fn an_ingest_keeps_what_was_asked_for_and_not_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    let ingest = |options: &[&str]| {
        let output = run(&[&["ingest", FOX, "--to", &store], options].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    let object = || json_lines(&run(&["ls", "--json", &store]))[0]["assets"][0]["sha256"].to_string();
    ingest(&[]);
    let source = object();
    ingest(&["-o", "scene.scale=1"]);
    assert_eq!(object(), source, "the default is no option at all");
    ingest(&["-o", "scene.scale=3"]);
    assert_ne!(object(), source, "another option is another key, and another object");
}

#[test]
fn operations_are_listed_and_checked() {
    let page = String::from_utf8(run(&["formats", "scene"]).stdout).unwrap();
    for option in ["scene.triangulate", "scene.weld", "scene.scale", "scene.up_axis"] {
        assert!(page.contains(option), "{page}");
    }
    let json = &json_lines(&run(&["formats", "scene", "--json"]))[0];
    assert_eq!((&json["type"], &json["kind"]), (&"operations".into(), &"scene".into()), "{json}");
    let wrong = run(&["convert", FOX, "-", "--to", "obj", "-o", "scene.up_axis=w"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("scene.up_axis: expected keep | x | y | z"), "{}", stderr(&wrong));
}
