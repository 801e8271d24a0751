//! The HTTP surface: metrics, health, pages.
