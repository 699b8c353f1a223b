//! URLs, addresses and paths in the file, and a port that is taken.

use super::{Case, refused};

fn gateway(url: &str) -> Case {
    Case::file(&format!("pushgateways:\n  - name: site\n    url: {url}"))
}

fn endpoint(url: &str) -> Case {
    Case::file(&format!("remote_write:\n  - name: site\n    url: {url}"))
}

fn api(url: &str) -> Case {
    Case::file(&format!("balena:\n  token: x\n  url: {url}")).account_in_file()
}

refused! {
    gateway_without_url: Case::file("pushgateways:\n  - name: site")
        => "fleetpush: config.yml:4:5: pushgateways: has no url; add one";
    gateway_that_is_nothing: Case::file("pushgateways:\n  -")
        => "fleetpush: config.yml:4:4: pushgateways: has no url; add one";
    gateway_without_scheme: gateway("gateway:9091")
        => "fleetpush: config.yml:6:10: pushgateways.url: does not begin with http:// or https://; write it like https://host/path";
    gateway_of_numbers_without_scheme: gateway("10.0.0.1:9091")
        => "fleetpush: config.yml:6:10: pushgateways.url: does not begin with http:// or https://; write it like https://host/path";
    gateway_by_ftp: gateway("ftp://gateway:9091")
        => "fleetpush: config.yml:6:10: pushgateways.url: does not begin with http:// or https://; write it like https://host/path";
    gateway_with_a_user: gateway("http://user:hunter2@gateway:9091")
        => "fleetpush: config.yml:6:10: pushgateways.url: holds a user name or password; take them out, credentials have settings of their own";
    gateway_with_a_fragment: gateway("'http://gateway:9091/#top'")
        => "fleetpush: config.yml:6:10: pushgateways.url: has a fragment (#…), which is never sent; leave it out";
    gateway_with_a_query: gateway("http://gateway:9091/?token=hunter2")
        => "fleetpush: config.yml:6:10: pushgateways.url: has a query (?…); give the gateway's base URL";
    gateway_of_nothing: gateway("''")
        => "fleetpush: config.yml:6:10: pushgateways.url: is empty; write it like https://host/path";
    gateway_without_a_host: gateway("http://")
        => "fleetpush: config.yml:6:10: pushgateways.url: is not a URL (empty host); write it like https://host/path";
    gateway_with_a_bad_port: gateway("http://gateway:99999")
        => "fleetpush: config.yml:6:10: pushgateways.url: is not a URL (invalid port number); write it like https://host/path";
    gateway_with_a_job: gateway("http://gateway:9091/metrics/job/balena")
        => "fleetpush: config.yml:6:10: pushgateways.url: already holds /metrics/job/…; give the gateway's base URL, and labels by grouping";
    gateway_with_a_job_in_base64: gateway("http://gateway:9091/metrics/job@base64/YQ")
        => "fleetpush: config.yml:6:10: pushgateways.url: already holds /metrics/job/…; give the gateway's base URL, and labels by grouping";
    gateway_with_its_page: gateway("http://gateway:9091/metrics")
        => "fleetpush: config.yml:6:10: pushgateways.url: ends with /metrics; give the gateway's base URL";
    endpoint_without_url: Case::file("remote_write:\n  - name: site")
        => "fleetpush: config.yml:4:5: remote_write: has no url; add one";
    endpoint_without_scheme: endpoint("receiver:9090/api/v1/write")
        => "fleetpush: config.yml:6:10: remote_write.url: does not begin with http:// or https://; write it like https://host/path";
    endpoint_by_ftp: endpoint("ftp://receiver/api/v1/write")
        => "fleetpush: config.yml:6:10: remote_write.url: does not begin with http:// or https://; write it like https://host/path";
    endpoint_with_a_user: endpoint("https://123:hunter2@receiver/api/v1/write")
        => "fleetpush: config.yml:6:10: remote_write.url: holds a user name or password; take them out, credentials have settings of their own";
    endpoint_with_a_fragment: endpoint("'https://receiver/api/v1/write#x'")
        => "fleetpush: config.yml:6:10: remote_write.url: has a fragment (#…), which is never sent; leave it out";
    endpoint_of_nothing: endpoint("''")
        => "fleetpush: config.yml:6:10: remote_write.url: is empty; write it like https://host/path";
    api_without_scheme: api("api.balena-cloud.com")
        => "fleetpush: config.yml:6:8: balena.url: does not begin with http:// or https://; write it like https://host/path";
    api_by_ftp: api("ftp://api.balena-cloud.com")
        => "fleetpush: config.yml:6:8: balena.url: does not begin with http:// or https://; write it like https://host/path";
    api_with_a_user: api("https://user:hunter2@api.balena-cloud.com")
        => "fleetpush: config.yml:6:8: balena.url: holds a user name or password; take them out, credentials have settings of their own";
    api_with_a_query: api("https://api.balena-cloud.com?apikey=hunter2")
        => "fleetpush: config.yml:6:8: balena.url: has a query (?…); give the API's own address, like https://api.balena-cloud.com";
    api_in_the_open: api("http://api.balena-cloud.com")
        => "fleetpush: config.yml:6:8: balena.url: is plain http, which shows the token to everyone on the way; write https://, or set BALENA_ALLOW_HTTP=true or balena.allow_http";
    api_in_the_open_at_an_address: api("http://10.0.0.1")
        => "fleetpush: config.yml:6:8: balena.url: is plain http, which shows the token to everyone on the way; write https://, or set BALENA_ALLOW_HTTP=true or balena.allow_http";
    api_in_the_open_at_a_look_alike: api("http://localhost.example.org")
        => "fleetpush: config.yml:6:8: balena.url: is plain http, which shows the token to everyone on the way; write https://, or set BALENA_ALLOW_HTTP=true or balena.allow_http";

    proxy_of_a_gateway: Case::file("pushgateways:\n  - url: http://gateway\n    proxy_url: proxy:3128")
        => "fleetpush: config.yml:6:16: pushgateways.proxy_url: is not the URL of an HTTP proxy; write it like http://proxy:3128";
    proxy_by_socks: Case::file("remote_write:\n  - url: http://r/w\n    proxy_url: socks5://u:hunter2@proxy")
        => "fleetpush: config.yml:6:16: remote_write.proxy_url: is not the URL of an HTTP proxy; write it like http://proxy:3128";
    proxy_of_the_account: Case::file("balena:\n  proxy_url: ''")
        => "fleetpush: config.yml:4:14: balena.proxy_url: is empty; give it a value or leave it out";
    proxy_beside_the_environment_s:
        Case::file("remote_write:\n  - url: http://r/w\n    proxy_url: http://proxy\n    proxy_from_environment: true")
        => "fleetpush: config.yml:6:16: remote_write.proxy_url: stands beside proxy_from_environment: true; keep one of them";

    listen_without_colon: Case::file("web:\n  listen_address: 8000").without(&["FLEETPUSH_LISTEN_ADDRESS"])
        => r#"fleetpush: config.yml:4:19: web.listen_address: "8000" is not an address, or its host is not known; write :8000, 127.0.0.1:8000, [::1]:8000 or off"#;
    listen_with_a_bad_port: Case::file("web:\n  listen_address: ':80000'").without(&["FLEETPUSH_LISTEN_ADDRESS"])
        => r#"fleetpush: config.yml:4:19: web.listen_address: ":80000" is not an address, or its host is not known; write :8000, 127.0.0.1:8000, [::1]:8000 or off"#;
    listen_on_a_url: Case::file("web:\n  listen_address: http://:8000").without(&["FLEETPUSH_LISTEN_ADDRESS"])
        => r#"fleetpush: config.yml:4:19: web.listen_address: "http://:8000" is not an address, or its host is not known; write :8000, 127.0.0.1:8000, [::1]:8000 or off"#;
    path_of_our_own: Case::file("web:\n  telemetry_path: /-/metrics")
        => r#"fleetpush: config.yml:4:19: web.telemetry_path: "/-/metrics" is among the program's own paths (/-/healthy, /-/ready, /-/reload); write it like /metrics"#;
    path_without_slash: Case::file("web:\n  telemetry_path: metrics")
        => r#"fleetpush: config.yml:4:19: web.telemetry_path: "metrics" is not a path for metrics; write it like /metrics"#;
    path_of_nothing: Case::file("web:\n  telemetry_path: /")
        => r#"fleetpush: config.yml:4:19: web.telemetry_path: "/" is not a path for metrics; write it like /metrics"#;
    path_with_a_query: Case::file("web:\n  telemetry_path: /metrics?x")
        => r#"fleetpush: config.yml:4:19: web.telemetry_path: "/metrics?x" is not a path for metrics; write it like /metrics"#;
    a_port_that_is_taken: Case::good().with("FLEETPUSH_LISTEN_ADDRESS", "{listener}")
        => "fleetpush: cannot listen on LISTENER: Address already in use (os error 98); choose another address with FLEETPUSH_LISTEN_ADDRESS or --web.listen-address, or serve no page with `off`";
}
