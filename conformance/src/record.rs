//! Records taken apart: the bulk behind their streams, and what must not change from run to run.

use mediary_core::record::{AudioChunk, PointChunk, TableChunk, VideoFrame};
use mediary_core::{Budget, Error, ErrorKind, Media, MediaRecord, ReadOptions, Registry, Result, Source};

/// The bulk of a record, collected.
#[derive(Debug, PartialEq)]
pub enum Bulk {
    /// It is in the record itself.
    None,
    /// Of a point cloud.
    Points(Vec<PointChunk>),
    /// Of audio.
    Audio(Vec<AudioChunk>),
    /// Of a video.
    Frames(Vec<VideoFrame>),
    /// Of a table.
    Rows(Vec<TableChunk>),
}

/// Takes the bulk out of a record; its facts are complete afterwards.
///
/// # Errors
/// What the stream reports.
pub fn collect(record: &mut MediaRecord) -> Result<Bulk> {
    let budget = Budget::new(u64::MAX);
    Ok(match &mut record.media {
        Media::PointCloud(cloud) => Bulk::Points(cloud.points.collect(&budget)?),
        Media::Audio(audio) => Bulk::Audio(audio.samples.collect(&budget)?),
        Media::Table(table) => Bulk::Rows(table.rows.collect(&budget)?),
        Media::Video(video) => match &mut video.frames {
            Some(frames) => Bulk::Frames(frames.collect(&budget)?),
            None => Bulk::None,
        },
        _ => Bulk::None,
    })
}

/// Everything about a record that must not change from run to run.
///
/// # Errors
/// What the stream reports.
pub fn fingerprint(record: &mut MediaRecord) -> Result<String> {
    let bulk = collect(record)?;
    Ok(format!("{}\n{:?}\n{bulk:?}", record.to_json(), record.media))
}

/// Reads all records of an input to their ends.
///
/// # Errors
/// What the format reports.
pub fn read_all(registry: &Registry, source: &Source, options: &ReadOptions) -> Result<Vec<MediaRecord>> {
    let records = registry.open(source, options)?.map(|record| {
        let mut record = record?;
        record.media.drain()?;
        Ok(record)
    });
    records.collect()
}

/// Whether an error says that a format broke down, which is always a defect: a caught panic, a breach of contract, a process
/// that died.
#[must_use]
pub fn is_breakdown(error: &Error) -> bool {
    error.message().starts_with("the decoder gave up") || matches!(error.kind(), ErrorKind::Plugin | ErrorKind::Worker)
}
