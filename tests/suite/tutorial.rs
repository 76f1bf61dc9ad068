//! `docs/writing-a-plugin.md`, followed to the letter: every command, in order, from an empty folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{mediary, root};
use crate::docs::fits;

/// A command with the lines that the page shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands of the `console` blocks. A command goes on in lines that start with `> `.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        for line in block.lines() {
            match (line.strip_prefix("$ "), line.strip_prefix("> ")) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
                (None, Some(more)) => steps.last_mut().unwrap().command += &format!("\n{more}"),
                (None, None) => steps.last_mut().unwrap().shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Where the commands run, one after the other: the working folder goes with them.
struct Shell {
    home: tempfile::TempDir,
    folder: PathBuf,
}

impl Shell {
    fn run(&mut self, step: &Step) {
        let program = PathBuf::from(mediary().get_program());
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let state = self.home.path().join("state");
        let script = format!("{}\ncode=$?; pwd > '{}'; exit $code", step.command, state.display());
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(&self.folder).env("PATH", path).env("NO_COLOR", "1");
        for name in ["MEDIARY_ISOLATE", "MEDIARY_LIMITS", "MEDIARY_PLUGIN_PATH", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        // What is built for the suite is there already: nothing is fetched.
        command.env("CARGO_NET_OFFLINE", "true");
        command.env("XDG_DATA_HOME", self.home.path().join("data"));
        command.env("XDG_STATE_HOME", self.home.path().join("state-home"));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "$ {}\nends with {}:\n{text}", step.command, output.status);
        let mut lines = text.lines();
        for shown in &step.shown {
            let found = lines.any(|line| fits(shown.trim_end(), line.trim_end()));
            assert!(found, "$ {}\ndoes not print, or not in this order,\n{shown}\nbut\n{text}", step.command);
        }
        self.folder = fs::read_to_string(state).unwrap().trim_end().into();
        share_target(&self.folder);
    }
}

/// A new crate builds into one folder for all runs of the suite: the dependencies are compiled once.
fn share_target(folder: &Path) {
    let own = folder.join("target");
    if folder.join("Cargo.toml").is_file() && own.symlink_metadata().is_err() {
        let shared = root().join("target/tutorial");
        fs::create_dir_all(&shared).unwrap();
        std::os::unix::fs::symlink(shared, own).unwrap();
    }
}

#[test]
fn the_tutorial_works_from_an_empty_folder() {
    let page = fs::read_to_string(root().join("docs/writing-a-plugin.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 25, "only {} commands", steps.len());
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("empty");
    fs::create_dir(&folder).unwrap();
    let mut shell = Shell { home, folder };
    for step in &steps {
        shell.run(step);
    }
}
