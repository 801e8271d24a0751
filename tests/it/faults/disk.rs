//! A disk that is full: history waits, verdicts and messages do not.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::bench::{Bench, SLOW, open_incidents, results, started, wait_store, wait_verdict};
use crate::peers::{Daemon, Nginx, PATIENCE, poll};
use portalwatch::model::Verdict;

/// A file system that can be filled; where none can be mounted, a limit on the size of files.
enum Disk {
    Mounted(PathBuf),
    Limited,
}

impl Disk {
    /// Makes the folder a small disk of its own, if the test may.
    fn small(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "portalwatch-test"]).arg(folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if mounted { Self::Mounted(folder.to_owned()) } else { Self::Limited }
    }

    /// Leaves no room for what the daemon writes.
    fn fill(&self, daemon: &Daemon) {
        match self {
            Self::Mounted(folder) => {
                let mut ballast = File::create(folder.join("ballast")).unwrap();
                while ballast.write_all(&[0; 512]).is_ok() {}
            }
            Self::Limited => limit_files(daemon, Some(1)),
        }
    }

    fn free(&self, daemon: &Daemon) {
        match self {
            Self::Mounted(folder) => std::fs::remove_file(folder.join("ballast")).unwrap(),
            Self::Limited => limit_files(daemon, None),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            // A process of a failed test may still be on it.
            Command::new("umount").arg("-l").arg(folder).status().unwrap();
        }
    }
}

/// A write beyond the limit fails, as one to a full disk does, as long as the signal is ignored.
fn limit_files(daemon: &Daemon, current: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(pid, Resource::Fsize, Rlimit { current: current.or(maximum), maximum }).unwrap();
}

const BEFORE: &str = "trap '' XFSZ";

fn portal(nginx: &Nginx) -> String {
    format!(
        "portals: {{ acme: {{ url: '{}/', private: true, checks: {{ front: {{ http: {{ path: / }} }} }} }} }}",
        nginx.url()
    )
}

#[test]
fn a_full_disk_is_told_once_and_costs_nothing_once_there_is_room() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&portal(&nginx));
    let disk = Disk::small(&bench.record());
    let daemon = bench.start_after(BEFORE);
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    disk.fill(&daemon);
    let told = bench.hook.wait("opened", "monitor.store", PATIENCE);
    assert!(told.not_recorded, "{told:?}");
    wait_store(&daemon, "degraded", PATIENCE);
    assert_eq!(daemon.get("/readyz").status, 200);
    let full = started(&daemon);
    assert!(poll(PATIENCE, || (started(&daemon) >= full + 3).then_some(())).is_some(), "checks go on");
    wait_verdict(&daemon, "front", "pass", PATIENCE);

    disk.free(&daemon);
    wait_store(&daemon, "open", PATIENCE);
    bench.hook.wait("resolved", "monitor.store", PATIENCE);
    let runs = started(&daemon);
    assert!(daemon.terminate(PATIENCE).success());
    let rows = results(&bench.database(), "acme/front");
    assert!(rows.len() >= runs, "{} of {runs} results are on disk", rows.len());
    assert!(rows.iter().all(|row| row.verdict == Verdict::Pass), "{rows:#?}");
    let monitor = "monitor.store _portalwatch/monitor";
    assert_eq!(bench.hook.lines(), [format!("opened {monitor}"), format!("resolved {monitor}")]);
    assert!(open_incidents(&bench.database()).is_empty());
}

#[test]
fn a_portal_that_is_down_is_told_although_the_disk_is_full() {
    let mut nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&portal(&nginx));
    let disk = Disk::small(&bench.record());
    let daemon = bench.start_after(BEFORE);
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    disk.fill(&daemon);
    bench.hook.wait("opened", "monitor.store", PATIENCE);
    nginx.reload("location / { return 502; }");
    let told = bench.hook.wait("opened", "http.status", PATIENCE);
    assert_eq!((told.check.as_str(), told.not_recorded), ("acme/front", true), "{told:?}");

    disk.free(&daemon);
    wait_store(&daemon, "open", PATIENCE);
    // Of what was held back, the monitor's opening may reach the disk before its end and the portal's.
    let recorded = poll(PATIENCE, || (open_incidents(&bench.database()) == ["acme/front"]).then_some(()));
    assert!(recorded.is_some(), "{:?}", open_incidents(&bench.database()));
    nginx.reload("location / { return 200 fine; }");
    bench.hook.wait("resolved", "http.status", SLOW);
    assert_eq!(bench.hook.lines().len(), 4, "{:#?}", bench.hook.told());
    assert!(daemon.terminate(PATIENCE).success());
    assert!(open_incidents(&bench.database()).is_empty());
}
