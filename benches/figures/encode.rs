//! Records into requests, without a network: CPU and bytes for each sample, and the same samples through
//! the generated types as the floor.

use std::hint::black_box;
use std::time::Duration;

use fleetpush::encode::Encoder;
use fleetpush::encode::record::{Cutter, Record};
use fleetpush::encode::rw1::Metadata;
use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use fleetpush::sample::Batch;
use prost::Message;

use super::{Row, cpu, shapes};

/// So many samples for each figure.
const SAMPLES: usize = 3_000_000;
/// Ours and the floor take turns, so that a noisy second hits both.
const TURNS: usize = 4;

/// CPU and bytes of both versions for a shape: of ticks that come again, and of the first one.
pub fn rows(shape: &str, ticks: &[Batch], limits: [&'static str; 2]) -> Vec<Row> {
    let mut cutter = Cutter::default();
    let records = &ticks.iter().map(|tick| shapes::cut_again(tick, &mut cutter)).collect::<Vec<_>>();
    let samples: usize = records[0].iter().map(|record| record.samples).sum();
    let rounds = (SAMPLES / TURNS / samples).max(1);
    let ones = bodies(&records[1], one);
    let twos = bodies(&records[1], two);
    let typed_ones: Vec<v1::WriteRequest> = ones.iter().map(|body| typed(body)).collect();
    let typed_twos: Vec<v2::Request> = twos.iter().map(|body| typed(body)).collect();
    let per_million = |used: Duration| used.as_secs_f64() * 1e6 / (TURNS * rounds * samples) as f64;
    let (mut for_ones, mut for_twos) = (encoder(), encoder());
    let mut known = Cutter::default();
    let mut used = [Duration::ZERO; 8];
    for _ in 0..TURNS {
        let turns: [&mut dyn FnMut(usize); 8] = [
            &mut |tick| all(&records[tick], &mut for_ones, one),
            &mut |_| typed_ones.iter().for_each(|request| drop(black_box(compressed(request)))),
            &mut |tick| all(&records[tick], &mut for_twos, two),
            &mut |_| typed_twos.iter().for_each(|request| drop(black_box(compressed(request)))),
            &mut |tick| drop(black_box(shapes::cut_again(&ticks[tick], &mut known))),
            &mut |tick| all(&records[tick], &mut encoder(), one),
            &mut |tick| all(&records[tick], &mut encoder(), two),
            &mut |tick| drop(black_box(shapes::cut(&ticks[tick]))),
        ];
        for (turn, used) in turns.into_iter().zip(&mut used) {
            *used += cpu::of(|| (0..rounds).for_each(|round| turn(round % ticks.len())));
        }
    }
    let [one_used, one_floor, two_used, two_floor, cut_used, first_one, first_two, first_cut] =
        used.map(per_million);
    let bytes = |bodies: &[Vec<u8>]| bodies.iter().map(Vec::len).sum::<usize>() as f64 / samples as f64;
    let (one_bytes, two_bytes) = (bytes(&ones), bytes(&twos));
    let seconds = |used: f64, floor: f64, first: f64| {
        format!("{used:.3} s, {:.2} × the generated types' {floor:.3} s; {first:.3} s", used / floor)
    };
    vec![
        Row::new(
            format!("{shape}, records to 1.0 and snappy, CPU a million samples; of the first tick"),
            seconds(one_used, one_floor, first_one),
            "",
        ),
        Row::new(
            format!("{shape}, records to 2.0 and snappy, CPU a million samples; of the first tick"),
            seconds(two_used, two_floor, first_two),
            "",
        ),
        Row::new(
            format!("{shape}, cut into records, CPU a million samples; of the first tick"),
            format!("{cut_used:.3} s; {first_cut:.3} s"),
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
    let records = shapes::cut(batch);
    let each = |encode: Encode| {
        let bytes: usize = bodies(&records, encode).iter().map(Vec::len).sum();
        format!("{:.1}", bytes as f64 / batch.series_count() as f64)
    };
    vec![
        Row::new(format!("{shape}, bytes a sample, 1.0"), each(one), limits[0]),
        Row::new(format!("{shape}, bytes a sample, 2.0 with metadata"), each(two), limits[1]),
    ]
}

type Encode = fn(&mut Encoder, &Record) -> Vec<u8>;

/// An endpoint's encoder.
pub fn encoder() -> Encoder {
    Encoder::new(shapes::external())
}

/// All of a record, read and written as a request of 1.0.
pub fn one(encoder: &mut Encoder, record: &Record) -> Vec<u8> {
    let flat = encoder.read(record.pieces.clone()).expect("a record of our own");
    encoder.one(&flat, 0..record.samples, Metadata::Without).expect("a small request")
}

/// All of a record, read and written as a request of 2.0.
pub fn two(encoder: &mut Encoder, record: &Record) -> Vec<u8> {
    let flat = encoder.read(record.pieces.clone()).expect("a record of our own");
    encoder.two(&flat, 0..record.samples).expect("a small request")
}

fn bodies(records: &[Record], encode: Encode) -> Vec<Vec<u8>> {
    let mut encoder = encoder();
    records.iter().map(|record| encode(&mut encoder, record)).collect()
}

/// Records as requests, which are thrown away.
pub fn all(records: &[Record], encoder: &mut Encoder, encode: Encode) {
    records.iter().for_each(|record| drop(black_box(encode(encoder, record))));
}

fn typed<M: Message + Default>(body: &[u8]) -> M {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("our own compression");
    M::decode(&*plain).expect("our own encoding")
}

fn compressed(request: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("a small request")
}
