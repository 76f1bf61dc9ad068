//! Counts over bins.

use serde::{Deserialize, Serialize};

use super::facts::HistogramFacts;
use crate::error::{Error, Result};

/// A histogram: bin `i` holds `counts[i]` values of `edges[i]..edges[i + 1]`, the last bin closed on the right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HistogramParts")]
pub struct Histogram {
    #[serde(with = "crate::wire::columns::numbers")]
    edges: Vec<f64>,
    #[serde(with = "crate::wire::columns::numbers")]
    counts: Vec<f64>,
}

#[derive(Deserialize)]
struct HistogramParts {
    #[serde(with = "crate::wire::columns::numbers")]
    edges: Vec<f64>,
    #[serde(with = "crate::wire::columns::numbers")]
    counts: Vec<f64>,
}

impl TryFrom<HistogramParts> for Histogram {
    type Error = Error;

    fn try_from(parts: HistogramParts) -> Result<Self> {
        Self::new(parts.edges, parts.counts)
    }
}

impl Histogram {
    /// A histogram of `counts.len()` bins.
    ///
    /// # Errors
    /// `Malformed` unless there is at least one bin, `edges` is one longer than `counts`, the edges are finite and
    /// strictly rising, and the counts are finite and not negative.
    pub fn new(edges: Vec<f64>, counts: Vec<f64>) -> Result<Self> {
        if counts.is_empty() || edges.len() != counts.len() + 1 {
            return Err(Error::malformed(format!(
                "expected one edge more than counts, found {} edges and {} counts",
                edges.len(),
                counts.len()
            )));
        }
        if let Some(index) = edges.iter().position(|edge| !edge.is_finite()) {
            return Err(Error::malformed("an edge is not finite").at_element(format!("edges[{index}]")));
        }
        if let Some(index) = edges.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(Error::malformed(format!(
                "edges must rise, found {} before {}",
                edges[index],
                edges[index + 1]
            ))
            .at_element(format!("edges[{}]", index + 1)));
        }
        if let Some(index) = counts.iter().position(|count| !count.is_finite() || *count < 0.0) {
            return Err(Error::malformed(format!("expected a count of 0 or more, found {}", counts[index]))
                .at_element(format!("counts[{index}]")));
        }
        Ok(Self { edges, counts })
    }

    /// Bin edges, strictly rising, one more than counts.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Values in each bin; weights may make them fractional.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The facts of this histogram.
    #[must_use]
    pub fn facts(&self) -> HistogramFacts {
        HistogramFacts {
            bins: Some(self.counts.len() as u64),
            min: self.edges.first().copied(),
            max: self.edges.last().copied(),
            count: Some(self.counts.iter().sum()),
        }
    }
}
