//! x

mod api_error;
mod api_shape;
mod auth;
mod collect;
mod tls;
