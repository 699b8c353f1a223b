//! Every row of the table of answers, with a kill between the answer and the acknowledgement.

use std::time::Duration;

use fleetpush::demo::balena;
use fleetpush::demo::receiver::{self, Cut, Fault, Personality, Times, Version};
use rstest::rstest;

use super::door::Door;
use super::log::Life;
use super::odometer::Odometer;
use super::store::{self, Seen};
use super::strictly_rising;
use crate::program::{LIMIT, Program};
use crate::servers::eventually;

const ONE: &str = "prometheus.WriteRequest";
const AUTO: &str = "auto";
use Personality::{Prometheus3, Prometheus242};

fn normal() -> Fault {
    Fault::Hang(Duration::ZERO)
}

fn redirect() -> Fault {
    Fault::Redirect("http://127.0.0.1:1/elsewhere".to_owned())
}

/// The process is killed at the answer behind `before` others, which are right ones but for the first with
/// `first`. The next process meets the same answer once more where that takes no time,
/// and right ones from then on.
#[rstest]
#[case::taken_by_2_0(AUTO, Prometheus3, None, 2, normal(), Version::Two)]
#[case::taken_by_1_0(ONE, Prometheus3, None, 1, normal(), Version::One)]
#[case::taken_without_written_headers(AUTO, Prometheus242, None, 1, normal(), Version::One)]
#[case::unknown_2_0(AUTO, Prometheus3, None, 2, Fault::status(415), Version::One)]
#[case::a_bad_unconfirmed_2_0(AUTO, Prometheus3, Some(500), 1, Fault::status(400), Version::One)]
#[case::a_server_error(ONE, Prometheus3, None, 1, Fault::status(503), Version::One)]
#[case::a_rate_limit(ONE, Prometheus3, None, 1, Fault::RateLimit("0".to_owned()), Version::One)]
#[case::a_time_out_of_the_receiver(ONE, Prometheus3, None, 1, Fault::status(408), Version::One)]
#[case::too_early(ONE, Prometheus3, None, 1, Fault::status(425), Version::One)]
#[case::an_answer_that_is_cut_off(ONE, Prometheus3, None, 1, Fault::Cut(Cut::AfterWork), Version::One)]
#[case::too_large(ONE, Prometheus3, None, 1, Fault::status(413), Version::One)]
#[case::unauthorized(ONE, Prometheus3, None, 1, Fault::status(401), Version::One)]
#[case::forbidden(ONE, Prometheus3, None, 1, Fault::status(403), Version::One)]
#[case::not_found(ONE, Prometheus3, None, 1, Fault::status(404), Version::One)]
#[case::not_implemented(ONE, Prometheus3, None, 1, Fault::status(501), Version::One)]
#[case::elsewhere(ONE, Prometheus3, None, 1, redirect(), Version::One)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_is_acknowledged_a_request_is_sent_again_and_nothing_is_lost(
    #[case] message: &str,
    #[case] personality: Personality,
    #[case] first: Option<u16>,
    #[case] before: usize,
    #[case] fault: Fault,
    #[case] version: Version,
) {
    let mut scene = Scene::start(message, personality).await;
    let first = || first.map_or_else(normal, Fault::status);
    for fault in [first()].into_iter().chain(std::iter::repeat_with(normal)).take(before) {
        scene.remote.inject(fault, Times::Next(1));
    }
    scene.remote.inject(fault.clone(), Times::Next(1));
    scene.killed_behind(before).await;
    let taken = scene.deliveries().len();

    scene.remote.clear_faults();
    // A parked process asks again after half a minute, and each cut makes one more repetition.
    let once = matches!(
        &fault,
        Fault::Status { code: 401 | 403 | 404 | 501, .. } | Fault::Redirect(_) | Fault::Cut(_)
    );
    if !once {
        if message == AUTO {
            scene.remote.inject(first(), Times::Next(1));
        }
        scene.remote.inject(fault, Times::Next(1));
    }
    scene.lives_on().await;
    assert_eq!(scene.refused, 0);
    let all = scene.deliveries();
    assert!(all.len() > taken);
    // The receiver has heard the request of the first process already where it was worked on.
    if let Some(last) = taken.checked_sub(1)
        && (200..300).contains(&all[last].status)
    {
        assert!(strictly_rising(&scene.remote) <= 1, "more than the request in flight came again");
    }
    assert_eq!(all.last().map(|delivery| delivery.version), Some(version));
}

#[rstest]
#[case::a_conflict(Fault::status(409))]
#[case::unprocessable(Fault::status(422))]
#[case::bad_where_1_0_was_never_taken(Fault::status(400))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_a_refusal_is_acknowledged_it_is_refused_once_and_stays_refused(#[case] fault: Fault) {
    let mut scene = Scene::start(ONE, Prometheus3).await;
    scene.remote.inject(fault.clone(), Times::Next(1));
    scene.killed_behind(0).await;
    assert_eq!(store::read(scene.folder.path()).refused, 0, "nothing was acknowledged");
    scene.remote.clear_faults();
    scene.remote.inject(fault, Times::Next(1));
    scene.lives_on().await;
    assert_eq!(scene.refused, 1);
    scene.lives_on().await;
    assert_eq!(scene.refused, 1, "the next process neither sends it again nor forgets it");
    strictly_rising(&scene.remote);
}

/// Where 1.0 was taken before, a 400 is searched for its bad half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_search_for_a_bad_sample_it_loses_nothing_but_that_sample() {
    let mut scene = Scene::start(ONE, Prometheus3).await;
    for fault in [normal(), normal(), Fault::status(400), normal(), Fault::status(400)] {
        scene.remote.inject(fault, Times::Next(1));
    }
    // The third request is bad as a whole, its first half is good, and of the second half nothing is known.
    scene.killed_behind(4).await;
    let cursor = store::read(scene.folder.path()).cursor.expect("it has a cursor");
    assert!(cursor.1 > 0, "the good half was acknowledged: {cursor:?}");
    scene.remote.clear_faults();
    scene.lives_on().await;
    assert_eq!(scene.refused, 0);
    strictly_rising(&scene.remote);
}

/// An account, a receiver behind a trap, and a queue that outlives its processes.
struct Scene {
    api: balena::Server,
    remote: receiver::Server,
    door: Door,
    folder: tempfile::TempDir,
    message: String,
    seen: Seen,
    /// How many samples the last process has left.
    waiting: usize,
    /// How many records were set aside.
    refused: usize,
    _odometer: Odometer,
}

impl Scene {
    async fn start(message: &str, personality: Personality) -> Self {
        let odometer = Odometer::start();
        let api = balena::Server::start(odometer.simulation.clone(), balena::Options::default());
        let options = receiver::Options { personality, ..receiver::Options::default() };
        let remote = receiver::Server::start(options).await.expect("a free port");
        let door = Door::before(remote.address()).await;
        Self {
            api: api.await.expect("a free port"),
            remote,
            door,
            folder: tempfile::tempdir().expect("a temporary folder"),
            message: message.to_owned(),
            seen: Seen::default(),
            waiting: 0,
            refused: 0,
            _odometer: odometer,
        }
    }

    fn program(&self, every: &str) -> Program {
        let folder = self.folder.path().to_str().expect("a path of ours");
        let environment = [
            ("REMOTE_WRITE_URL", &*self.door.write_url()),
            ("REMOTE_WRITE_PROTOBUF_MESSAGE", &*self.message),
            ("FLEETPUSH_QUEUE_DIR", folder),
            ("CRAWL_INTERVAL", every),
            ("FLEETPUSH_LOG_LEVEL", "trace"),
        ];
        Program::service(&self.api, &environment)
    }

    /// Requests with samples that were understood.
    fn deliveries(&self) -> Vec<std::sync::Arc<receiver::Delivered>> {
        self.remote.deliveries().into_iter().filter(|delivery| !delivery.series.is_empty()).collect()
    }

    /// A process that collects every 50 ms until it is killed at an answer, and what it leaves.
    async fn killed_behind(&mut self, answers: usize) {
        let mut program = self.program("50ms");
        self.door.set_trap(program.id(), answers);
        eventually("the trap's kill", LIMIT, async || self.door.has_sprung().then_some(())).await;
        assert_eq!(program.ended().await.code(), None, "{}", program.stderr());
        let acknowledged = Life::of(&program.stderr()).acknowledged;
        self.waiting = self.seen.add(&store::read(self.folder.path()));
        assert!(
            self.waiting > 0,
            "the request was acknowledged: {acknowledged} samples\n{}",
            program.stderr()
        );
    }

    /// A process that collects once and delivers everything that waits, to its end.
    async fn lives_on(&mut self) {
        let mut program = self.program("1h");
        eventually("everything is answered for", LIMIT, async || {
            let life = Life::of(&program.stderr());
            (life.committed == 2 && life.acknowledged == self.waiting + life.samples()).then_some(())
        })
        .await;
        program.signal("TERM");
        assert_eq!(program.code().await, 0, "{}", program.stderr());
        let found = store::read(self.folder.path());
        self.waiting = self.seen.add(&found);
        assert_eq!(self.waiting, 0, "{}", program.stderr());
        self.refused = found.refused;
        let log = program.stderr();
        let lost: usize = log
            .lines()
            .filter(|line| line.contains("samples refused or dropped"))
            .map(|line| line.split("samples=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()))
            .map(|samples: Option<usize>| samples.expect("a count"))
            .sum();
        self.check(lost);
    }

    /// All that was in the store has arrived, but for so many samples that were refused in this life.
    fn check(&self, lost: usize) {
        let (missing, one) = self.seen.missing(&self.remote.samples());
        if self.refused == 0 {
            assert_eq!((missing, lost), (0, 0), "such as {one:?}");
        } else {
            assert!(missing > 0, "it was refused");
            assert!(lost == missing || lost == 0, "{missing} are missing, {lost} were counted");
        }
    }
}
