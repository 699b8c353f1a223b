//! The Debian package on a machine of its own under a real systemd: installed, run, reloaded, killed, upgraded,
//! removed. Commands in it block their thread while the test's servers answer on another. The machine is namespaces over this one and lives in memory (`tests/hosts/machine.sh`).

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleetpush::demo::balena;
use tempfile::TempDir;

use super::package::package;
use super::{api, as_root, receiver, repository};
use crate::program::{LIMIT, TOKEN, get};
use crate::servers::eventually;

/// A machine with the package installed, and with the token in its place.
struct Machine {
    script: Child,
    systemd: u32,
    folder: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Everything in it ends with its first process; then the script tidies up.
        if self.systemd != 0 {
            let _ended = Command::new("kill").args(["-KILL", &self.systemd.to_string()]).status();
            let began = Instant::now();
            while matches!(self.script.try_wait(), Ok(None)) && began.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ended = self.script.kill();
        let _status = self.script.wait();
    }
}

/// The only child of a process.
fn child_of(id: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

impl Machine {
    async fn boot() -> Self {
        as_root();
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("machine");
        fs::create_dir(&root).expect("our folder");
        let log = fs::File::create(folder.path().join("log")).expect("our folder");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount"]).arg(repository("tests/hosts/machine.sh"));
        command.arg(&root).arg(package().join("package.deb"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let script = command.spawn().expect("setpriv is there: `make test-tools` has looked");
        let mut machine = Machine { script, systemd: 0, folder };
        let began = Instant::now();
        while !machine.answers() {
            let ended = machine.script.try_wait().expect("a child of ours");
            let log = machine.log();
            assert!(ended.is_none() && began.elapsed() < LIMIT, "no machine boots: {ended:?}\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(machine.log(), "", "the machine complains");
        let systemd = machine.systemd;
        // It is ours to break, this machine is not: settings of the kernel, devices, the network.
        for line in [
            "echo 1 > /proc/sys/vm/swappiness",
            "echo change > /sys/class/net/lo/uevent",
            "test -e /dev/kmsg",
        ] {
            assert!(!machine.try_run(line).0, "{line}");
        }
        let status = fs::read_to_string(format!("/proc/{systemd}/status")).expect("it runs");
        let rights = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a line of rights");
        let rights = u64::from_str_radix(rights.trim(), 16).expect("a mask");
        for (number, name) in [(12, "net_admin"), (16, "sys_module"), (25, "sys_time"), (27, "mknod")] {
            assert_eq!(rights >> number & 1, 0, "{name}");
        }
        machine
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Whether its systemd is up; the script is its grandparent.
    fn answers(&mut self) -> bool {
        let first = child_of(self.script.id()).and_then(child_of);
        let first = first.filter(|id| {
            fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name == "systemd\n")
        });
        self.systemd = first.unwrap_or_default();
        first.is_some() && self.try_run("systemctl is-system-running").0
    }

    /// Runs a line of shell in it: whether it went well, and what it said.
    fn try_run(&self, line: &str) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.systemd));
        command.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", "--"]);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(["sh", "-c", &format!("exec 2>&1; {line}")]);
        let output = command.output().expect("nsenter is there: `make test-tools` has looked");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run(&self, line: &str) -> String {
        let (well, said) = self.try_run(line);
        assert!(well, "{line}:\n{said}\n{}", self.journal());
        said
    }

    fn journal(&self) -> String {
        self.try_run("journalctl --no-pager --output=cat --unit='fleetpush*'").1
    }

    /// A property of a unit.
    fn show(&self, unit: &str, property: &str) -> String {
        self.run(&format!("systemctl show {unit} --property={property} --value")).trim().to_owned()
    }

    fn install(&self) {
        // What the test machine has not is not its fault here.
        self.run("dpkg --force-depends --install /given/package.deb");
    }

    /// The token as the docs say, and settings for servers of the test.
    fn set_up(&self, settings: &[(&str, &str)]) {
        self.run(&format!("echo '{TOKEN}' | install -D -m 600 /dev/stdin /etc/fleetpush/balena-token"));
        self.set(settings);
    }

    fn set(&self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.run(&format!("echo '{name}=\"{value}\"' >> /etc/default/fleetpush"));
        }
    }

    async fn logged(&self, text: &str) {
        eventually(&format!("{text:?} in the journal"), LIMIT, async || {
            self.journal().contains(text).then_some(())
        })
        .await;
    }

    async fn state(&self, unit: &str, property: &str, wanted: &str) {
        eventually(&format!("{unit}: {property}={wanted}"), LIMIT, async || {
            (self.show(unit, property) == wanted).then_some(())
        })
        .await;
    }
}

fn settings<'a>(api: &'a str, write: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("FLEETPUSH_BALENA_API_URL", api),
        ("REMOTE_WRITE_URL", write),
        ("CRAWL_INTERVAL", "1"),
        ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_runs_behind_its_walls_and_outlives_a_kill() {
    let (api, remote) = (api().await, receiver().await);
    let machine = Machine::boot().await;
    machine.install();
    assert_eq!(
        machine.run("systemd-analyze verify fleetpush.service fleetpush-once.service fleetpush-once.timer"),
        ""
    );
    let (well, said) = machine.try_run("systemctl start fleetpush");
    assert!(!well && said.contains("Assertion failed"), "there is no token yet: {said}");
    assert_eq!(machine.show("fleetpush", "NRestarts"), "0");

    machine.set_up(&settings(&api.base_url(), &remote.write_url()));
    machine.run("systemctl start fleetpush");
    machine.logged("serving the page").await;
    let journal = machine.journal();
    let page =
        journal.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    eventually("a page with fleets", LIMIT, async || {
        get(&format!("http://{page}/metrics")).await.contains("balena_devices_online{").then_some(())
    })
    .await;
    eventually("samples by remote write", LIMIT, async || (!remote.samples().is_empty()).then_some(())).await;

    // The token is a file that root and the service alone can read, and is nowhere else.
    let id = machine.show("fleetpush", "MainPID");
    let environment = machine.run(&format!("tr '\\0' '\\n' < /proc/{id}/environ"));
    assert!(
        environment.contains("BALENA_TOKEN_FILE=/run/credentials/fleetpush.service/balena-token"),
        "{environment}"
    );
    for place in [
        environment,
        machine.journal(),
        machine.run("systemctl show fleetpush"),
        machine.run(&format!("cat /proc/{id}/cmdline")),
    ] {
        assert!(!place.contains(TOKEN), "{place}");
    }
    let status = machine.run(&format!("cat /proc/{id}/status"));
    let uid = |text: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse::<u32>().ok())
    };
    assert!(uid(&status).is_some_and(|uid| (61184..=65519).contains(&uid)), "a user of its own: {status}");
    assert!(
        status.contains("Seccomp:\t2")
            && status.contains("NoNewPrivs:\t1")
            && status.contains("CapEff:\t0000000000000000")
    );
    assert_eq!(machine.run("stat -Lc '%a' /var/lib/fleetpush"), "700\n");

    machine.run("systemctl reload fleetpush");
    machine.logged("configuration reloaded").await;
    machine.run("systemctl kill --signal=KILL --kill-whom=main fleetpush");
    machine.state("fleetpush", "NRestarts", "1").await;
    machine.state("fleetpush", "ActiveState", "active").await;
    let before = remote.deliveries().len();
    eventually("deliveries after the kill", LIMIT, async || {
        (remote.deliveries().len() > before).then_some(())
    })
    .await;
    machine.run("systemctl stop fleetpush");
    assert_eq!(machine.show("fleetpush", "Result"), "success");

    // 2 is a configuration that another try would not mend.
    machine.set(&[("CRAWL_INTERVAL", "often")]);
    machine.run("systemctl start fleetpush");
    machine.state("fleetpush", "ActiveState", "failed").await;
    assert_eq!(
        (machine.show("fleetpush", "ExecMainStatus"), machine.show("fleetpush", "NRestarts")),
        ("2".into(), "0".into())
    );
    assert!(machine.journal().contains("CRAWL_INTERVAL"), "{}", machine.journal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timer_starts_single_runs_that_share_the_services_queue() {
    let (api, remote): (balena::Server, _) = (api().await, receiver().await);
    let machine = Machine::boot().await;
    machine.install();
    // A receiver that takes nothing (it is another kind of server): a failed run, and samples that wait.
    machine.set_up(&settings(&api.base_url(), &api.base_url()));
    machine.set(&[("ARGS", "--once.deadline 5s")]);
    assert!(!machine.try_run("systemctl start fleetpush-once").0);
    assert_eq!(machine.show("fleetpush-once", "ExecMainStatus"), "4", "{}", machine.journal());
    assert!(machine.run("systemctl --failed --no-legend --plain").contains("fleetpush-once.service"));

    machine.set(&[("REMOTE_WRITE_URL", &remote.write_url())]);
    machine.run("mkdir -p /etc/systemd/system/fleetpush-once.timer.d");
    let soon = "[Timer]\\nOnCalendar=\\nOnCalendar=*:*:*\\nRandomizedDelaySec=0\\n";
    machine.run(&format!("printf '{soon}' > /etc/systemd/system/fleetpush-once.timer.d/soon.conf"));
    machine.run("systemctl daemon-reload && systemctl enable --now fleetpush-once.timer");
    eventually("both runs' samples", LIMIT, async || {
        let all = remote.samples();
        let up = all.iter().find(|(labels, _)| labels["__name__"] == "balena_up");
        up.is_some_and(|(_, samples)| samples.len() >= 2).then_some(())
    })
    .await;
    machine.run("systemctl stop fleetpush-once.timer");
    machine.state("fleetpush-once", "ActiveState", "inactive").await;
    assert_eq!(machine.show("fleetpush-once", "Result"), "success");
    assert!(
        !machine.run("systemctl --failed --no-legend --plain").contains("fleetpush"),
        "the failure is over"
    );

    // The service goes on with the same folder, as the same user.
    machine.run("systemctl start fleetpush");
    let before = remote.deliveries().len();
    eventually("deliveries of the service", LIMIT, async || {
        (remote.deliveries().len() > before).then_some(())
    })
    .await;
    assert!(!machine.journal().contains("ermission denied"), "{}", machine.journal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_starts_nothing_unasked_and_leaves_nothing_behind() {
    let (api, remote) = (api().await, receiver().await);
    let machine = Machine::boot().await;
    machine.install();
    assert_eq!(
        machine.try_run("systemctl is-enabled fleetpush.service fleetpush-once.timer").1,
        "disabled\ndisabled\n"
    );
    assert_eq!(machine.show("fleetpush", "ActiveState"), "inactive");
    machine.set_up(&settings(&api.base_url(), &remote.write_url()));
    machine.run("systemctl enable --now fleetpush");
    let first = machine.show("fleetpush", "MainPID");

    // The same version once more stands for an upgrade: the administrator's settings stay, what runs is started anew.
    machine.install();
    machine.state("fleetpush", "ActiveState", "active").await;
    assert_ne!(machine.show("fleetpush", "MainPID"), first);
    assert!(machine.run("cat /etc/default/fleetpush").contains("CRAWL_INTERVAL"));
    eventually("deliveries", LIMIT, async || (!remote.deliveries().is_empty()).then_some(())).await;

    machine.run("dpkg --remove fleetpush");
    assert!(!machine.try_run("pgrep -x fleetpush").0, "it is stopped");
    machine.run("test -e /var/lib/private/fleetpush/queue.redb");
    machine.run("dpkg --purge fleetpush");
    let left = machine.run("find /etc /usr /var/lib /run/systemd /var/cache -xdev -name '*fleetpush*'");
    assert_eq!(left, "/etc/fleetpush\n", "but the folder that the administrator has made");
    assert_eq!(machine.run("ls /etc/fleetpush"), "balena-token\n");
}
