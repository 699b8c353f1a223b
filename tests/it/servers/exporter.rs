//! A node_exporter, which tells of this machine.

use super::Suite;
use super::process::Process;

pub struct NodeExporter {
    process: Process,
}

impl NodeExporter {
    pub async fn start(suite: Suite) -> Self {
        let program = suite.program("prometheus-node-exporter");
        let process = Process::start(program, "/metrics", |port, _| {
            vec![format!("--web.listen-address=127.0.0.1:{port}")]
        })
        .await;
        Self { process }
    }

    /// `http://127.0.0.1:port`, without a slash at its end.
    pub fn url(&self) -> &str {
        self.process.url()
    }
}
