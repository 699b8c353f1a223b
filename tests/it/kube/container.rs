//! A pod's container as the kubelet would start it, as far as this machine can: the manifest's arguments and environment
//! and no other, its volumes at their paths with the kubelet's owners and modes, a root that can only be read, the user
//! and groups of its security context, no capabilities and no new privileges.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use super::pod::{Pod, list, map, name, of_kind};
use crate::program::Program;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a mount namespace is made on this machine. Without root the program runs as the user that runs the tests, who
/// is called root in there.
struct Namespace {
    way: &'static [&'static str],
    root: bool,
}

fn namespace() -> &'static Namespace {
    static FOUND: LazyLock<Namespace> = LazyLock::new(|| {
        let works = |way: &[&str]| {
            let probe = ["sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"];
            let tried = Command::new("unshare").args(way).args(probe).stderr(Stdio::null()).status();
            tried.is_ok_and(|status| status.success())
        };
        let user = Command::new("id").arg("-u").output().expect("`id` of coreutils");
        if user.stdout == b"0\n" && works(&["--mount"]) {
            return Namespace { way: &["--mount"], root: true };
        }
        assert!(
            works(&["--map-root-user", "--mount"]),
            "no container can be made here: run this test as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1), with `unshare` of util-linux in the PATH"
        );
        Namespace { way: &["--map-root-user", "--mount"], root: false }
    });
    &FOUND
}

/// A folder as the kubelet projects ConfigMaps and Secrets: each key a link into a folder that is replaced as a whole.
pub(super) struct Projected {
    folder: TempDir,
    group: Option<u32>,
}

impl Projected {
    fn new(group: u64, keys: &BTreeMap<String, String>) -> Self {
        let group = namespace().root.then(|| u32::try_from(group).expect("a group"));
        let folder = tempfile::tempdir().expect("a folder");
        let projected = Self { folder, group };
        projected.own(projected.folder.path(), 0o755);
        projected.update(keys);
        for key in keys.keys() {
            symlink(Path::new("..data").join(key), projected.folder.path().join(key))
                .expect("our own folder");
        }
        projected
    }

    /// What happens some time after the object has changed: all keys at once.
    pub(super) fn update(&self, keys: &BTreeMap<String, String>) {
        let folder = self.folder.path();
        let version = format!("..{}", fs::read_dir(folder).expect("our own folder").count());
        let inner = folder.join(&version);
        fs::create_dir(&inner).expect("our own folder");
        self.own(&inner, 0o755);
        for (key, value) in keys {
            fs::write(inner.join(key), value).expect("our own folder");
            self.own(&inner.join(key), 0o440);
        }
        symlink(&version, folder.join("..data_tmp")).expect("our own folder");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("our own folder");
    }

    fn own(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
        if let Some(group) = self.group {
            chown(path, Some(0), Some(group)).expect("we are root");
        }
    }
}

/// The claims of a namespace: each is a folder that outlives its pods.
#[derive(Default)]
pub(super) struct Claims(BTreeMap<String, TempDir>);

impl Claims {
    fn path(&mut self, claim: &str, group: u64) -> PathBuf {
        let folder = self.0.entry(claim.to_owned()).or_insert_with(|| tempfile::tempdir().expect("a folder"));
        if namespace().root {
            let group = u32::try_from(group).expect("a group");
            chown(folder.path(), Some(0), Some(group)).expect("we are root");
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2770)).expect("our own folder");
        }
        folder.path().to_owned()
    }

    /// Where a claim lies on this machine.
    pub(super) fn folder(&self, claim: &str) -> &Path {
        self.0[claim].path()
    }
}

/// A container that can be started.
pub(super) struct Container {
    root: TempDir,
    user: u64,
    group: u64,
    arguments: Vec<String>,
    environment: Vec<String>,
    /// Folders of this machine, their paths in the container, and whether they can only be read.
    mounts: Vec<(PathBuf, String, bool)>,
    projected: BTreeMap<String, Projected>,
    own: Vec<TempDir>,
}

impl Container {
    /// The program's container of a pod. ConfigMaps are those of the documents; `secrets` holds each Secret's keys.
    pub(super) fn new(
        pod: Pod,
        documents: &[Value],
        secrets: &BTreeMap<&str, BTreeMap<String, String>>,
        claims: &mut Claims,
    ) -> Self {
        let number = |key: &str| pod.spec["securityContext"][key].as_u64().expect("a number");
        let (user, group, fs_group) = (number("runAsUser"), number("runAsGroup"), number("fsGroup"));
        let (mut projected, mut own) = (BTreeMap::new(), Vec::new());
        let mut sources = BTreeMap::new();
        for volume in list(&pod.spec["volumes"]) {
            let config = volume["configMap"]["name"].as_str();
            let secret = volume["projected"]["sources"][0]["secret"]["name"].as_str();
            let source = if let Some(wanted) = config {
                let data = of_kind(documents, "ConfigMap").find(|one| name(&one["metadata"]) == wanted);
                let data = data.map(|one| map(&one["data"])).into_iter().flatten();
                let keys = data.map(|(key, value)| (key.clone(), value.as_str().expect("a text").to_owned()));
                let folder = Projected::new(fs_group, &keys.collect());
                let path = folder.folder.path().to_owned();
                projected.insert(name(volume).to_owned(), folder);
                path
            } else if let Some(wanted) = secret {
                let keys = secrets.get(wanted).unwrap_or_else(|| panic!("there is no Secret {wanted}"));
                let folder = Projected::new(fs_group, keys);
                let path = folder.folder.path().to_owned();
                projected.insert(name(volume).to_owned(), folder);
                path
            } else if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                claims.path(claim, fs_group)
            } else {
                assert!(volume.get("emptyDir").is_some(), "{volume}");
                let mut empty = Claims::default();
                let path = empty.path("", fs_group);
                own.extend(empty.0.into_values());
                path
            };
            sources.insert(name(volume), source);
        }
        let mounts = list(&pod.container()["volumeMounts"]).iter().map(|mount| {
            let path = mount["mountPath"].as_str().expect("a path").to_owned();
            (sources[name(mount)].clone(), path, mount["readOnly"] == true)
        });
        let variables =
            list(&pod.container()["env"]).iter().filter_map(|variable| match variable["value"].as_str() {
                Some(value) => Some(format!("{}={value}", name(variable))),
                None => {
                    let optional = variable["valueFrom"]["secretKeyRef"]["optional"] == true;
                    assert!(optional, "{variable}");
                    None
                }
            });
        let arguments =
            list(&pod.container()["args"]).iter().map(|one| one.as_str().expect("a text").to_owned());
        assert!(pod.container().get("command").is_none(), "the image's own entry point is started");
        Self {
            root: tempfile::tempdir().expect("a folder"),
            user,
            group,
            arguments: arguments.collect(),
            environment: variables.collect(),
            mounts: mounts.collect(),
            projected,
            own,
        }
    }

    /// One argument instead of another, for what this machine shares with other tests.
    pub(super) fn replace(&mut self, argument: &str, other: &str) {
        let place = self.arguments.iter_mut().find(|one| *one == argument).expect("the manifest's argument");
        other.clone_into(place);
    }

    pub(super) fn more(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// The files of a volume, to change them.
    pub(super) fn volume(&self, name: &str) -> &Projected {
        &self.projected[name]
    }

    /// Starts it.
    pub(super) fn start(self) -> Running {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let program = self.start_other("/fleetpush", &arguments);
        Running { program, container: self }
    }

    /// Starts another program of this machine in its place.
    fn start_other(&self, program: &str, arguments: &[&str]) -> Program {
        let root = self.root.path().to_str().expect("a path of ours");
        let mut script = format!("set -e; mount --make-rprivate /; mount --bind {root} {root}; cd {root}; ");
        for folder in ["usr", "bin", "sbin", "lib", "lib32", "lib64", "etc/ssl"] {
            let there = Path::new("/").join(folder);
            if let Ok(target) = fs::read_link(&there) {
                let _there_already = symlink(target, self.root.path().join(folder));
            } else if there.is_dir() {
                fs::create_dir_all(self.root.path().join(folder)).expect("our own folder");
                script += &format!("mount --rbind /{folder} {folder}; ");
            }
        }
        fs::set_permissions(self.root.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        fs::create_dir_all(self.root.path().join("proc")).expect("our own folder");
        script += "mount --rbind /proc proc; ";
        fs::write(self.root.path().join("fleetpush"), "").expect("our own folder");
        script += &format!("mount --bind {} fleetpush; ", env!("CARGO_BIN_EXE_fleetpush"));
        for (source, path, read_only) in &self.mounts {
            let path = path.trim_start_matches('/');
            fs::create_dir_all(self.root.path().join(path)).expect("our own folder");
            script += &format!("mount --bind {} {path}; ", source.display());
            if *read_only {
                script += &format!("mount -o remount,bind,ro {path}; ");
            }
        }
        script += &format!("mount -o remount,bind,ro {root}; ");
        let rights = "--no-new-privs --bounding-set=-all --inh-caps=-all";
        let user = if namespace().root {
            let (user, group) = (self.user, self.group);
            format!("--reuid={user} --regid={group} --groups={group}")
        } else {
            String::new()
        };
        script += &format!("exec chroot {root} /usr/bin/setpriv {rights} {user} /usr/bin/env -i \"$@\"");
        let mut command = Command::new("unshare");
        command.args(namespace().way).args(["sh", "-c", &script, "sh"]);
        command.args(&self.environment).arg(program).args(arguments);
        Program::spawn(command, &[("PATH", PATH)])
    }
}

/// The program in its container, which lasts as long.
pub(super) struct Running {
    program: Program,
    pub(super) container: Container,
}

impl Deref for Running {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// What is to be seen in a container of this kind, so that the tests that use it show something.
pub(super) async fn shows_what_it_holds(container: &Container) {
    assert!(container.own.is_empty(), "every volume is named");
    let script = "id -u; id -G; (echo x > /x) 2>&1; (echo x > /etc/fleetpush/x) 2>&1; (echo x > /run/secrets/fleetpush/x) 2>&1; \
                  echo x > /var/lib/fleetpush/x && echo written; rm /var/lib/fleetpush/x; grep -c . /run/secrets/fleetpush/balena-token; \
                  grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; env";
    let mut shell = container.start_other("/bin/sh", &["-c", script]);
    assert_eq!(shell.code().await, 0, "{}", shell.stderr());
    let said = shell.stdout();
    let lines: Vec<&str> = said.lines().collect();
    let (user, group) = (container.user.to_string(), container.group.to_string());
    if namespace().root {
        assert_eq!(lines[..2], [user, group], "{said}");
    }
    assert!(lines[2..5].iter().all(|line| line.contains("Read-only file system")), "{said}");
    assert_eq!(lines[5..7], ["written", "1"], "{said}");
    let none = "0000000000000000";
    let due = [format!("CapEff:\t{none}"), format!("CapBnd:\t{none}"), "NoNewPrivs:\t1".to_owned()];
    assert_eq!(lines[7..10], due, "{said}");
    let of_the_shell = |line: &&str| ["PWD=", "SHLVL=", "_="].iter().any(|name| line.starts_with(name));
    let mut seen: Vec<&str> = lines[10..].iter().copied().filter(|line| !of_the_shell(line)).collect();
    let mut due: Vec<&str> = container.environment.iter().map(String::as_str).collect();
    seen.sort_unstable();
    due.sort_unstable();
    assert_eq!(seen, due);
}
