//! Reads every record of each input to its end and prints how many there are: `cargo run --release --example count -- FILE...`

use mediary::{Limits, ReadOptions, Registry, Source};

fn main() -> mediary::Result<()> {
    let registry = Registry::builtin();
    for path in std::env::args().skip(1) {
        let source = Source::open(&path, &Limits::default())?;
        let mut records = 0_u64;
        for record in registry.open(&source, &ReadOptions::default())? {
            record?.media.drain()?;
            records += 1;
        }
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{records} {path}")?;
    }
    Ok(())
}
