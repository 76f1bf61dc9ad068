//! `mediary verify`: whether a store is whole.

use mediary_ingest::{Report, Store, verify};
use serde_json::{Value, json};

use crate::Exit;
use crate::args::VerifyArgs;
use crate::output::Screen;
use crate::output::text::{Paint, bytes, clean, plural};

pub(crate) fn run(args: &VerifyArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    screen.outlive_stdout();
    let report = verify(&Store::open(&args.store)?, args.deep)?;
    if screen.json {
        let mut json = json!({ "type": "verify", "whole": report.is_whole() });
        if let (Value::Object(json), Value::Object(report)) = (&mut json, serde_json::to_value(&report)?) {
            json.extend(report);
        }
        screen.json(&json)?;
    } else {
        screen.text(&tell(screen.paint, &report))?;
    }
    Ok(if report.is_whole() { Exit::Good } else { Exit::Damaged })
}

fn tell(paint: Paint, report: &Report) -> String {
    let mut text = String::new();
    for damage in &report.damage {
        let line = format!("{}: {}: {}", damage.code, damage.message, damage.path);
        text += &format!("{} {}\n", paint.bad("damaged:"), clean(&line));
    }
    for (count, what) in [
        (report.unreferenced, "object that no row names"),
        (report.leftovers, "temporary file, which the next run sweeps"),
        (report.unfinished_runs, "interrupted run, which the next run finishes"),
    ] {
        if count > 0 {
            text += &format!("note: {count} x {what}\n");
        }
    }
    let how = if report.deep { "hashed" } else { "present; --deep hashes them" };
    text += &format!(
        "{}, {} ({}) {how}: {}\n",
        plural(report.rows, "row"),
        plural(report.objects, "object"),
        bytes(report.bytes),
        if report.is_whole() { "whole".to_owned() } else { format!("{} damaged", report.damage.len()) }
    );
    text
}
