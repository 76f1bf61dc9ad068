//! Writes every picture as PNG and a thumbnail of 256 pixels: `cargo run --release --example thumbnails -- FOLDER THREADS FILE...`

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use mediary::preview::{PreviewOptions, picture};
use mediary::{Context, Limits, MediaRecord, Output, ReadOptions, Registry, Source, WriteOptions};

fn main() -> mediary::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_default();
    let threads: usize = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let paths: Vec<String> = arguments.collect();
    let (registry, next) = (Registry::builtin(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let one = || {
            let mut failed = 0;
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = convert(&registry, path, Path::new(&folder)) {
                    failed += 1;
                    use std::io::Write as _;
                    let _ = writeln!(std::io::stderr(), "{error}");
                }
            }
            failed
        };
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(one)).collect();
        let failed: usize = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{} of {} written", paths.len() - failed, paths.len())?;
        Ok(())
    })
}

fn convert(registry: &Registry, path: &str, folder: &Path) -> mediary::Result<()> {
    let source = Source::open(path, &Limits::default())?;
    let Some(record) = registry.open(&source, &ReadOptions::default())?.next() else { return Ok(()) };
    let mut record = record?;
    let mut options = PreviewOptions::default();
    (options.size, options.threads) = (256, 1);
    let mut small = MediaRecord::new(picture(&mut record, registry, &options, &Context::new("thumbnail"))?);
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (record, kind) in [(&mut record, "png"), (&mut small, "small.png")] {
        let mut out = Output::file(folder.join(format!("{name}.{kind}")), true)?;
        registry.write(record, "png", &mut out, &WriteOptions::default())?;
        out.finish()?;
    }
    Ok(())
}
