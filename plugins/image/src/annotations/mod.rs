//! What people or models say about pictures, in the files of the tools that make or take it: one file or folder a format.
//!
//! A file of annotations names its picture, which lies beside it; the record is the picture with its
//! [annotations](mediary_core::record::annotations). [`annotate`] goes the other way: it finds annotations beside a picture.
//! Written, such a file refers to the picture by name and does not hold it.

mod base64;
mod beside;
mod boxes;
mod coco;
mod json;
mod labelme;
mod labels;
mod picture;
mod sheet;
mod voc;
mod write;
mod yolo;

pub(crate) use beside::{ANNOTATIONS, MASKS, annotate};

/// Ids of the formats whose records are those of other files.
const IDS: [&str; 5] = [boxes::INFO.id, coco::INFO.id, labelme::INFO.id, voc::INFO.id, yolo::INFO.id];

#[cfg(test)]
mod tests;
