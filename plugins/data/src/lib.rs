//! Tables, arrays, histograms and documents.
