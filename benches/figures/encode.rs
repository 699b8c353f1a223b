//! Records into requests, without a network: CPU and bytes for each sample, and the same samples through
//! the generated types as the floor.

use std::hint::black_box;
use std::time::Duration;

use fleetpush::encode::record::Flat;
use fleetpush::encode::rw1::Metadata;
use fleetpush::encode::{rw1, rw2};
use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use fleetpush::sample::{Batch, Labels};
use prost::Message;

use super::{Row, cpu, shapes};

/// So many samples for each figure.
const SAMPLES: usize = 3_000_000;
/// Ours and the floor take turns, so that a noisy second hits both.
const TURNS: usize = 4;

/// CPU and bytes of both versions for a shape.
pub fn rows(shape: &str, batch: &Batch, limits: [&'static str; 2]) -> Vec<Row> {
    let records: Vec<Flat> = shapes::cut(batch).iter().map(|r| decoded(&r.bytes)).collect();
    let external = shapes::external();
    let samples: usize = records.iter().map(|record| record.series_count()).sum();
    let rounds = (SAMPLES / TURNS / samples).max(1);
    let ones: Vec<Vec<u8>> = records.iter().map(|record| one(record, &external)).collect();
    let twos: Vec<Vec<u8>> = records.iter().map(|record| two(record, &external)).collect();
    let typed_ones: Vec<v1::WriteRequest> = ones.iter().map(|body| typed(body)).collect();
    let typed_twos: Vec<v2::Request> = twos.iter().map(|body| typed(body)).collect();
    let per_million = |used: Duration| used.as_secs_f64() * 1e6 / (TURNS * rounds * samples) as f64;
    let mut used = [Duration::ZERO; 5];
    for _ in 0..TURNS {
        let turns: [&dyn Fn(); 5] = [
            &|| records.iter().for_each(|record| drop(black_box(one(record, &external)))),
            &|| typed_ones.iter().for_each(|request| drop(black_box(compressed(request)))),
            &|| records.iter().for_each(|record| drop(black_box(two(record, &external)))),
            &|| typed_twos.iter().for_each(|request| drop(black_box(compressed(request)))),
            &|| shapes::cut(batch).iter().for_each(|record| drop(black_box(decoded(&record.bytes)))),
        ];
        for (turn, used) in turns.iter().zip(&mut used) {
            *used += cpu::of(|| (0..rounds).for_each(|_| turn()));
        }
    }
    let [one_used, one_floor, two_used, two_floor, cut_used] = used.map(per_million);
    let bytes = |bodies: &[Vec<u8>]| bodies.iter().map(Vec::len).sum::<usize>() as f64 / samples as f64;
    let (one_bytes, two_bytes) = (bytes(&ones), bytes(&twos));
    let seconds = |used: f64, floor: f64| {
        format!("{used:.3} s, {:.2} × the generated types' {floor:.3} s", used / floor)
    };
    vec![
        Row::new(
            format!("{shape}, encode to 1.0 and snappy, CPU a million samples"),
            seconds(one_used, one_floor),
            "",
        ),
        Row::new(
            format!("{shape}, encode to 2.0 and snappy, CPU a million samples"),
            seconds(two_used, two_floor),
            "",
        ),
        Row::new(
            format!("{shape}, cut into records and read back, CPU a million samples"),
            format!("{cut_used:.3} s"),
            "",
        ),
        Row::new(format!("{shape}, bytes a sample, 1.0"), format!("{one_bytes:.1}"), limits[0]),
        Row::new(
            format!("{shape}, bytes a sample, 2.0 with metadata"),
            format!("{two_bytes:.1}, {:.2} × 1.0", two_bytes / one_bytes),
            limits[1],
        )
        .within(two_bytes, if limits[1].is_empty() { f64::MAX } else { 0.7 * one_bytes }),
    ]
}

/// Bytes of both versions alone.
pub fn byte_rows(shape: &str, batch: &Batch, limits: [&'static str; 2]) -> Vec<Row> {
    let records: Vec<Flat> = shapes::cut(batch).iter().map(|r| decoded(&r.bytes)).collect();
    let external = shapes::external();
    let each = |encode: fn(&Flat, &Labels) -> Vec<u8>| {
        let bytes: usize = records.iter().map(|record| encode(record, &external).len()).sum();
        format!("{:.1}", bytes as f64 / batch.series_count() as f64)
    };
    vec![
        Row::new(format!("{shape}, bytes a sample, 1.0"), each(one), limits[0]),
        Row::new(format!("{shape}, bytes a sample, 2.0 with metadata"), each(two), limits[1]),
    ]
}

/// A record as the worker reads it.
pub fn decoded(bytes: &[u8]) -> Flat {
    Flat::read(bytes.into()).expect("a record of our own")
}

/// All of a record as a request of 1.0.
pub fn one(record: &Flat, external: &Labels) -> Vec<u8> {
    rw1::request(record, 0..record.series_count(), external, Metadata::Without).expect("a small request")
}

/// All of a record as a request of 2.0.
pub fn two(record: &Flat, external: &Labels) -> Vec<u8> {
    rw2::request(record, 0..record.series_count(), external).expect("a small request")
}

fn typed<M: Message + Default>(body: &[u8]) -> M {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("our own compression");
    M::decode(&*plain).expect("our own encoding")
}

fn compressed(request: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("a small request")
}
