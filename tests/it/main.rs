//! x

mod api_error;
mod api_shape;
mod collect;
