//! What a NetworkPolicy lets through, by the program's own configuration: what it needs, and no more.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::pod::{kind, list, map, name, of_kind, title};
use super::rules::{chosen, due};
use super::words::{lies_in, network};

pub(super) fn problems(document: &Value, documents: &[Value], found: &mut Vec<String>) {
    let spec = &document["spec"];
    let pods = chosen(document, &spec["podSelector"]["matchLabels"], documents);
    let owners: BTreeSet<&str> = pods.iter().map(|pod| kind(pod.owner)).collect();
    due(
        found,
        owners.contains("CronJob") || owners.contains("Deployment"),
        format!("it holds for {owners:?}"),
    );
    due(found, spec["policyTypes"] == serde_json::json!(["Ingress", "Egress"]), "it leaves a direction open");
    let incoming = list(&spec["ingress"]);
    if owners.contains("Deployment") {
        let ports = incoming.iter().flat_map(|rule| list(&rule["ports"])).map(|port| &port["port"]);
        due(found, ports.eq([&Value::from("metrics")]), "something else than metrics comes in");
        due(found, incoming.iter().all(|rule| !list(&rule["from"]).is_empty()), "everybody may come in");
    } else {
        due(found, incoming.is_empty(), "something comes in where nothing listens");
    }
    let outgoing = list(&spec["egress"]);
    for rule in outgoing {
        let ports = list(&rule["ports"]);
        due(
            found,
            !ports.is_empty() && ports.iter().all(|port| port["port"].is_u64()),
            "every port is open outwards",
        );
        for port in ports {
            due(found, ["TCP", "UDP"].iter().any(|known| port["protocol"] == *known), format!("{port}"));
        }
        for block in list(&rule["to"]).iter().filter_map(|to| to.get("ipBlock")) {
            blocks(block, found);
        }
    }
    names(outgoing, found);
    let open: BTreeSet<u64> = outgoing
        .iter()
        .flat_map(|rule| list(&rule["ports"]))
        .filter(|port| port["protocol"] == "TCP")
        .filter_map(|port| port["port"].as_u64())
        .collect();
    for port in asked(document, documents) {
        due(found, open.contains(&port), format!("the configuration needs the port {port}"));
    }
}

fn blocks(block: &Value, found: &mut Vec<String>) {
    let Some(outer) = block["cidr"].as_str().and_then(network) else {
        found.push(format!("{} is no network", block["cidr"]));
        return;
    };
    for inner in list(&block["except"]) {
        let good = inner.as_str().and_then(network).is_some_and(|inner| lies_in(inner, outer));
        due(found, good, format!("{inner} lies not in {}", block["cidr"]));
    }
}

/// Names are asked for by both protocols, at the cluster's own servers and no others: they carry no label of ours.
fn names(outgoing: &[Value], found: &mut Vec<String>) {
    let of_names = |rule: &&Value| list(&rule["ports"]).iter().any(|port| port["port"] == 53);
    let rules: Vec<&Value> = outgoing.iter().filter(of_names).collect();
    let [rule] = rules[..] else {
        found.push("no rule, or more than one, is about names".into());
        return;
    };
    let protocols: BTreeSet<&str> =
        list(&rule["ports"]).iter().filter_map(|port| port["protocol"].as_str()).collect();
    due(found, protocols.into_iter().eq(["TCP", "UDP"]), "names need both protocols");
    let server = serde_json::json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    });
    due(found, list(&rule["to"]).contains(&server), "the cluster's names cannot be asked for");
    due(found, list(&rule["to"]).len() == 2, "names may be asked for elsewhere");
}

/// The ports of every URL and of every target in the file, read from the rendered text itself, and the balena API's.
fn asked(document: &Value, documents: &[Value]) -> BTreeSet<u64> {
    let mut ports = BTreeSet::from([443]);
    let here = |one: &&Value| one["metadata"]["namespace"] == document["metadata"]["namespace"];
    let files =
        of_kind(documents, "ConfigMap").filter(here).filter_map(|one| map(&one["data"]).get("fleetpush.yml"));
    let mut any = false;
    for file in files.filter_map(Value::as_str) {
        any = true;
        let lines = file.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        for word in lines.flat_map(|line| line.split([' ', '"', '\'', ',', '{', '}'])) {
            if let Some(port) = Url::parse(word).ok().and_then(|url| url.port_or_known_default()) {
                ports.insert(port.into());
            }
        }
        // A target stands alone in its line: `- host:port`.
        let lines = file.lines().filter_map(|line| line.trim().strip_prefix("- "));
        for (_, port) in
            lines.filter(|line| !line.contains([' ', '/'])).filter_map(|line| line.rsplit_once(':'))
        {
            ports.extend(port.parse::<u64>());
        }
    }
    assert!(any, "{}: the configuration is not found by {}", title(document), name(&document["metadata"]));
    ports
}
