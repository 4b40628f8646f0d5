//! nginx and haproxy with the configurations that docs/OPERATIONS.md gives. Only addresses and TLS differ.

use std::{fs, net::SocketAddr, path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::{
    harness::{eventually, nats_server::free_port},
    variable,
};

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// A proxy in front of nodes. It is stopped when this is dropped.
pub(crate) struct ReverseProxy {
    pub(crate) address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Nginx,
    /// nginx without the line by which it speaks HTTP/1.1 to the nodes.
    NginxHttp10,
    Haproxy,
}

impl ReverseProxy {
    /// Starts a proxy before these three nodes.
    pub(crate) async fn start(kind: Kind, nodes: [SocketAddr; 3]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = folder.path().join("proxy.conf");
        let mut command = match kind {
            Kind::Nginx | Kind::NginxHttp10 => {
                let mut text = nginx(folder.path(), address, nodes);
                if matches!(kind, Kind::NginxHttp10) {
                    text = text.replace("proxy_http_version 1.1;", "");
                }
                fs::write(&file, text).expect("written");
                let mut command = Command::new(variable("FOM_TEST_NGINX"));
                command.args(["-e", "stderr", "-c"]).arg(&file);
                command
            }
            Kind::Haproxy => {
                fs::write(&file, haproxy(address, nodes)).expect("written");
                let mut command = Command::new(variable("FOM_TEST_HAPROXY"));
                command.args(["-db", "-q", "-f"]).arg(&file);
                command
            }
        };
        let process = command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("the proxy starts");
        eventually("the proxy listens", async || TcpStream::connect(address).await.ok()).await;
        Self { address, _process: process, _folder: folder }
    }
}

/// The block of the document in this language, with these lines of it replaced, each of which it must have.
fn documented(language: &str, nodes: [SocketAddr; 3], replaced: &[(&str, &str)]) -> String {
    let (_, rest) = OPERATIONS.split_once(&format!("\n```{language}\n")).expect("the document has a configuration");
    let mut text = rest.split("```").next().unwrap_or_default().to_owned();
    let nodes = nodes.map(|node| node.to_string());
    let nodes = ["10.0.0.1:9000", "10.0.0.2:9000", "10.0.0.3:9000"].into_iter().zip(nodes.iter().map(String::as_str));
    for (from, to) in replaced.iter().copied().chain(nodes) {
        assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
        text = text.replace(from, to);
    }
    text
}

fn nginx(folder: &Path, address: SocketAddr, nodes: [SocketAddr; 3]) -> String {
    let text = documented(
        "nginx",
        nodes,
        &[
            ("listen 443 ssl;", &format!("listen {address};")),
            ("    ssl_certificate /etc/ssl/faceofmind.pem;\n", ""),
            ("    ssl_certificate_key /etc/ssl/faceofmind.key;\n", ""),
        ],
    );
    let folder = folder.display();
    let paths: String = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    )
}

fn haproxy(address: SocketAddr, nodes: [SocketAddr; 3]) -> String {
    let tls = ":443 ssl crt /etc/haproxy/faceofmind.pem alpn h2,http/1.1";
    documented("haproxy", nodes, &[(tls, &address.to_string())])
}
