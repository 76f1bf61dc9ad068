//! The `mediary` command.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is the interface of this crate")]

use mediary::{Limits, ReadOptions, Registry, Source};

fn main() {
    let registry = Registry::builtin();
    let mut failed = false;
    for path in std::env::args().skip(1).filter(|argument| !argument.starts_with("--") && argument != "info") {
        let opened =
            Source::open(&path, &Limits::default()).and_then(|source| registry.open(&source, &ReadOptions::default()));
        match opened {
            Err(error) => {
                failed = true;
                println!("{}", error.to_json());
                eprintln!("{error}");
            }
            Ok(reading) => {
                for record in reading {
                    match record.and_then(|mut record| record.media.drain().map(|()| record)) {
                        Ok(record) => println!("{}", record.to_json()),
                        Err(error) => {
                            failed = true;
                            println!("{}", error.to_json());
                            eprintln!("{error}");
                        }
                    }
                }
            }
        }
    }
    std::process::exit(i32::from(failed));
}
