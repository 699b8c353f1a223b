//! The strict reader of exposition pages: tables, the real servers as judges, pages that are written from random
//! families, and pages that nobody would write.

mod edges;
mod fuzz;
mod judge;
mod peer;
mod table;
mod told;
mod written;
