//! The configuration file with its comments. Prose stands behind `# `, a key that is optional behind a bare `#`
//! with its default or an example.

use super::Answers;
use crate::cli::args::Target;

/// The whole file.
pub(super) fn of(answers: &Answers) -> String {
    let mut file = File::default();
    head(&mut file, answers);
    account(&mut file, answers);
    match answers.target {
        Target::Page => {}
        Target::Pushgateway => pushgateway(&mut file, answers),
        _ => remote_write(&mut file, answers),
    }
    page(&mut file, answers);
    file.text(
        "# The log, on standard error: trace, debug, info, warn or error; logfmt or json.\n\
         #log: {level: info, format: logfmt}\n",
    );
    file.0
}

#[derive(Default)]
struct File(String);

impl File {
    fn text(&mut self, lines: &str) {
        self.0.push_str(lines);
    }

    /// A key with a value from outside, in quotes.
    fn value(&mut self, key: &str, value: &str) {
        self.0.push_str(&format!("{key}: {}\n", quoted(value)));
    }

    /// A key that is as it was answered, or else a comment with its default.
    fn optional(&mut self, indent: &str, key: &str, value: Option<&str>, default: &str) {
        match value {
            Some(value) => self.value(&format!("{indent}{key}"), value),
            None => self.0.push_str(&format!("{indent}#{key}: {default}\n")),
        }
    }
}

/// A text in double quotes as YAML reads it, which has JSON's escapes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn head(file: &mut File, answers: &Answers) {
    file.text(&format!(
        "# fleetpush: counts the devices of balena fleets. Written by `fleetpush init --target {}`.\n\
         # A key behind a bare # is optional and shows its default or an example: take the # away to set it.\n\
         # Check this file with `fleetpush check --config.file FILE`; `fleetpush man` says more.\n\n",
        answers.target.word()
    ));
    file.text(
        "# How often the account is asked: one request for all fleets. Prometheus looks back five minutes, so stay\n\
         # below four.\n",
    );
    file.optional("", "interval", answers.interval.as_deref(), "60s");
    file.text(
        "# How long the last counts stand after a collect that failed, before they are withdrawn everywhere.\n\
         #stale_after: 5m\n\
         # The labels of a fleet. [fleet_name] alone gives the label set of the small Python exporter.\n\
         #labels: [fleet_name, fleet_slug]\n",
    );
    if answers.target == Target::Page {
        file.text("# The page carries neither `job` nor `instance`: the Prometheus that scrapes it adds its own.\n\n");
        return;
    }
    file.text(
        "# The labels `job` and `instance` of what is pushed. Two processes that see the same fleets need different\n\
         # ones, or receivers refuse what comes second.\n\
         #job: balena\n",
    );
    file.optional("", "instance", answers.instance.as_deref(), "site-7   # the host name, unless it is set");
    if answers.target != Target::Pushgateway {
        file.text("# Added to every series that leaves by remote write.\n#external_labels: {site: north}\n");
    }
    file.text("\n");
}

fn account(file: &mut File, answers: &Answers) {
    file.text(
        "balena:\n  \
         # The API key: a named key of a user that sees the fleets (dashboard: Preferences, Access tokens); a device's\n  \
         # or a fleet's own key will not do. The file is read at each use, so a new key needs no restart.\n",
    );
    file.value("  token_file", &answers.balena_token_file.display().to_string());
    file.text("  # An openBalena server's own API, and the private authority (PEM) that its certificate is signed by.\n");
    file.optional("  ", "url", answers.balena_url.as_deref(), "https://api.balena-cloud.com");
    file.text(
        "  #ca_file: /path/to/ca.pem\n  \
         # The way out of a site; without it HTTPS_PROXY and NO_PROXY hold.\n  \
         #proxy_url: http://proxy:3128\n  \
         # Which fleets are counted, as patterns of their slugs.\n  \
         #fleets: {include: [\"acme/*\"], exclude: [\"acme/test-*\"]}\n\n",
    );
}

fn pushgateway(file: &mut File, answers: &Answers) {
    file.text(
        "pushgateways:\n  \
         # The gateway's base, without /metrics. Each cycle replaces this instance's group there, so a fleet that is\n  \
         # gone is gone with the next push. Let Prometheus scrape the gateway with `honor_labels: true`, or `job` and\n  \
         # `instance` become exported_job and exported_instance.\n",
    );
    file.value("  - url", answers.url.as_deref().unwrap_or_default());
    file.text(
        "    # Further grouping labels. `job` and `instance` are there already; never `le` or `quantile`.\n    \
         #grouping: {site: north}\n    \
         # Whether a clean stop deletes the group. A gateway keeps what it has for ever, so counts that are no longer\n    \
         # pushed look alive: alert on push_time_seconds.\n    \
         #delete_on_exit: false\n    \
         #timeout: 10s\n",
    );
    credentials(file, answers);
    tls(file, answers);
    file.text("    #proxy_url: http://proxy:3128\n\n");
}

fn remote_write(file: &mut File, answers: &Answers) {
    file.text("# Prometheus' own keys; a block that works there can be pasted here.\nremote_write:\n");
    file.text(match answers.target {
        Target::GrafanaCloud => {
            "  # The remote write endpoint of the stack's Prometheus page. It ends with /api/prom/push; the address that\n  \
             # ends with /api/prom is for queries.\n"
        }
        Target::Mimir => "  # Mimir takes remote write at /api/v1/push, also behind its gateway.\n",
        Target::Thanos => {
            "  # Thanos Receive takes remote write at /api/v1/receive, on its port for it (19291). What it refuses it\n  \
             # answers with 409, and keeps the good samples of the same request.\n"
        }
        Target::Victoriametrics => {
            "  # A single node takes remote write at /api/v1/write, a cluster's vminsert at\n  \
             # /insert/0/prometheus/api/v1/write. A request whose answer was lost is sent again, and VictoriaMetrics\n  \
             # keeps both unless it runs with -dedup.minScrapeInterval=1ms.\n"
        }
        _ => {
            "  # Prometheus takes remote write only with --web.enable-remote-write-receiver; without it, it answers 404.\n"
        }
    });
    file.value("  - url", answers.url.as_deref().unwrap_or_default());
    file.text("    # The name in metrics, logs and the queue: with one of its own the URL may change.\n");
    file.text(&format!("    #name: {}\n", answers.target.word()));
    credentials(file, answers);
    if let Some(header) = answers.target.tenant_header() {
        file.text(match answers.target {
            Target::Mimir => {
                "    # The tenant. A Mimir with multi-tenancy answers 401 (no org id) without it; one without ignores it.\n"
            }
            _ => "    # The tenant; without it Thanos takes everything for its default one.\n",
        });
        match &answers.tenant {
            Some(tenant) => file.text(&format!("    headers: {{{header}: {}}}\n", quoted(tenant))),
            None => file.text(&format!("    #headers: {{{header}: fleets}}\n")),
        }
    }
    tls(file, answers);
    file.text(
        "    #proxy_url: http://proxy:3128\n    \
         #remote_timeout: 30s\n    \
         # Which remote write is spoken is found out: 2.0 where it is known, 1.0 elsewhere.\n    \
         #protobuf_message: auto\n",
    );
    file.text(out_of_order(answers.target));
    file.text(
        "\n# What waits for the receiver, on the disk: kill -9, power loss and a week's outage lose nothing. The folder is\n\
         # for one process. It is $STATE_DIRECTORY (systemd sets it), else $XDG_STATE_HOME/fleetpush, else\n\
         # /var/lib/fleetpush; with `memory` there is none, and what waits is lost at the end. `fleetpush check` says\n\
         # how long max_size lasts with your fleets.\n\
         queue:\n",
    );
    let folder = answers.queue_dir.as_ref().map(|path| path.display().to_string());
    file.optional("  ", "dir", folder.as_deref(), "/var/lib/fleetpush");
    file.text("  max_size: 1GiB\n  max_age: 8d\n\n");
}

/// What the receiver does with samples that an outage has held up.
fn out_of_order(target: Target) -> &'static str {
    match target {
        Target::Victoriametrics => {
            "    # After an outage the oldest goes first; VictoriaMetrics takes samples of any age within its retention.\n"
        }
        Target::Prometheus => {
            "    # After an outage the oldest goes first. Prometheus refuses what is over an hour older than what others\n    \
             # wrote meanwhile, unless its own file says: storage: {tsdb: {out_of_order_time_window: 1d}}\n"
        }
        Target::Mimir => {
            "    # After an outage the oldest goes first. Mimir refuses what is over an hour older than what others wrote\n    \
             # meanwhile, unless the tenant's limits say: out_of_order_time_window: 1d\n"
        }
        _ => {
            "    # After an outage the oldest goes first. The receiver refuses what is over an hour older than what others\n    \
             # wrote meanwhile, unless it has an out-of-order window; `fleetpush queue retry` sends that again later.\n"
        }
    }
}

fn credentials(file: &mut File, answers: &Answers) {
    let token_file = answers.token_file.as_ref().map(|path| path.display().to_string());
    match (&answers.username, token_file) {
        (Some(username), Some(path)) => {
            file.text("    basic_auth:\n");
            file.text(match answers.target {
                Target::GrafanaCloud => {
                    "      # The number of the metrics instance, on the same page; not an e-mail address.\n"
                }
                _ => "",
            });
            file.value("      username", username);
            file.text(match answers.target {
                Target::GrafanaCloud => {
                    "      # The file that holds a token of an access policy with the scope metrics:write. A 401 means that\n      \
                     # the token is another stack's or was deleted, or that the number is another instance's.\n"
                }
                _ => "      # The file that holds the password; it is read at each use.\n",
            });
            file.value("      password_file", &path);
        }
        (None, Some(path)) => {
            file.text("    # The file that holds the bearer token; it is read at each use.\n");
            file.text("    authorization:\n");
            file.value("      credentials_file", &path);
        }
        _ => file.text(
            "    # Credentials, where the receiver or a proxy before it asks for them.\n    \
             #basic_auth: {username: me, password_file: /path/to/password}\n",
        ),
    }
}

fn tls(file: &mut File, answers: &Answers) {
    match &answers.ca_file {
        Some(path) => {
            file.text("    # The private authority that the receiver's certificate is signed by.\n    tls_config:\n");
            file.value("      ca_file", &path.display().to_string());
        }
        None => file.text(
            "    # A private authority that the receiver's certificate is signed by.\n    \
             #tls_config: {ca_file: /path/to/ca.pem}\n",
        ),
    }
}

fn page(file: &mut File, answers: &Answers) {
    match answers.target {
        Target::Page => file.text(
            "# The page that Prometheus scrapes; a scrape never asks the API. In prometheus.yml:\n\
             #   scrape_configs:\n\
             #     - job_name: balena\n\
             #       static_configs: [{targets: [\"this-host:8000\"]}]\n\
             web:\n  \
             listen_address: \":8000\"\n",
        ),
        _ => file.text(
            "# The page at http://localhost:8000/ stays beside what is pushed: the counts, the state of each sink, health.\n\
             web:\n  \
             # `:port`, `host:port`, or \"off\" for no page.\n  \
             listen_address: \":8000\"\n",
        ),
    }
    file.text(
        "  #telemetry_path: /metrics\n  \
         # Lets POST /-/reload read this file again; SIGHUP always does.\n  \
         #enable_lifecycle: false\n\n",
    );
}
