//! What the flame graphs of real programs show in a browser, before anybody scrolls or clicks.

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use crate::support::pythons::python;

/// The browser. Debian's package has the same name.
const BROWSER: &str = "chromium";

/// Imports that go deep, and work in a function of its own.
const IMPORTS: &str = "\
import time
import asyncio, concurrent.futures, email.mime.multipart, http.server, logging.config, multiprocessing.pool
import sqlite3, unittest.mock, urllib.request, xml.dom.minidom, xmlrpc.server
def busy():
    x = 0
    while time.perf_counter() < end:
        x += 1
end = time.perf_counter() + 1
busy()
";

/// A server of a thread for each request.
const SERVER: &str = "\
import socket, socketserver, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(work(int(self.rfile.readline())))
def work(n):
    return str(sum(i * i for i in range(n))).encode()
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
server = Server(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, name='server', daemon=True).start()
for _ in range(40):
    with socket.create_connection(server.server_address) as client:
        client.sendall(b'300000\\n')
        client.makefile().read()
";

/// A pool of processes.
const POOL: &str = "\
from multiprocessing import get_context
def simulate(x):
    for _ in range(300000):
        x = (x * 1103515245 + 12345) % 2147483648
    return x
if __name__ == '__main__':
    with get_context('fork').Pool(3) as pool:
        pool.map(simulate, range(24))
";

/// Tasks that wait, and one that computes.
const TASKS: &str = "\
import asyncio
async def wait():
    await asyncio.sleep(0.01)
async def compute():
    for _ in range(100):
        await wait()
        work(200000)
def work(n):
    for _ in range(n):
        n += 1
async def main():
    await asyncio.gather(compute(), *(wait() for _ in range(50)))
asyncio.run(main())
";

/// Ranks that compute the same.
const RANK: &str = "\
def solve(n):
    x = 0
    for i in range(n):
        x += i * i
    return x
solve(8000000)
";

/// A stack that is higher than any screen.
const DEEP: &str = "\
import time
def down(n):
    if n:
        return down(n - 1)
    x = 0
    while time.perf_counter() < end:
        x += 1
end = time.perf_counter() + 0.5
down(200)
";

/// What the page is asked, once it is drawn: the widest frame of the program's own file, what the head says when that is
/// under the pointer and when something was searched for, and where all of it is.
const PROBE: &str = r##"
window.addEventListener("load", function() { setTimeout(function() {
    var widest = null, width = -1;
    for (var frame of document.querySelectorAll("#frames > g")) {
        var box = frame.querySelector("rect").getBoundingClientRect();
        var isOwn = frame.querySelector("title").textContent.includes("program.py:");
        if (isOwn && box.width > width) { widest = frame; width = box.width; }
    }
    var bottom = function(id) { return document.getElementById(id).getBoundingClientRect().bottom; };
    var frame = widest.querySelector("rect").getBoundingClientRect();
    window.scrollTo(0, 1000);
    window.dispatchEvent(new Event("scroll"));
    widest.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    search("program.py");
    var told = document.createElementNS("http://www.w3.org/2000/svg", "text");
    told.setAttribute("id", "told");
    told.textContent = JSON.stringify({
        screen: [innerWidth, innerHeight],
        frame: [frame.left, frame.top, frame.right, frame.bottom],
        subtitle: document.getElementById("subtitle").getBoundingClientRect().width,
        scrolled: window.scrollY,
        details: document.getElementById("details").textContent,
        matched: document.getElementById("matched").textContent,
        bottoms: ["title", "subtitle", "legend", "details", "matched"].map(bottom),
    });
    document.documentElement.appendChild(told);
}, 100); });
"##;

/// Records a program, draws it, and shows it at 1300 × 900.
fn shown(program: &str) -> Value {
    let mut command = python("v3_11").command;
    command.push("program.py".to_owned());
    shown_of(program, &command)
}

/// The same, with the command that runs `program.py`.
fn shown_of(program: &str, command: &[String]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("program.py"), program).expect("written");
    let output = Command::new(cargo_bin!("rsamp"))
        .args(["record", "-q", "-o", "a.svg", "--"])
        .args(command)
        .current_dir(folder.path())
        .output()
        .expect("rsamp runs");
    assert!(output.status.success(), "{output:?}");
    let svg = fs::read_to_string(folder.path().join("a.svg")).expect("UTF-8");
    let drawn = svg.trim_end().strip_suffix("</svg>").expect("an SVG");
    let page = format!("{drawn}<script><![CDATA[{PROBE}]]></script></svg>");
    let path = folder.path().join("probed.svg");
    fs::write(&path, page).expect("written");
    told(&path, folder.path())
}

/// What the page tells in a browser.
fn told(page: &Path, folder: &Path) -> Value {
    let output = Command::new(BROWSER)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--window-size=1300,900", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", folder.join("user").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let page = String::from_utf8_lossy(&output.stdout);
    let told = page.rsplit_once("id=\"told\">").map(|(_, told)| told);
    let told = told.and_then(|told| told.split_once("</text>"));
    let (told, _) = told.unwrap_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("the page tells nothing: {said}")
    });
    let told = told.replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&told.replace("&amp;", "&")).expect("JSON")
}

fn numbers(told: &Value, name: &str) -> Vec<f64> {
    let list = told[name].as_array().expect("a list");
    list.iter().map(|n| n.as_f64().expect("a number")).collect()
}

/// The widest frame of the program's own code is on the first screen, and so is what is said of it.
fn check(told: &Value, own_line: &str) {
    let (screen, frame) = (numbers(told, "screen"), numbers(told, "frame"));
    assert!(frame[0] >= 0.0 && frame[1] >= 0.0, "{told}");
    assert!(frame[2] <= screen[0] && frame[3] <= screen[1], "{told}");
    assert!(frame[2] - frame[0] > screen[0] / 20.0, "{told}");
    let details = told["details"].as_str().expect("a text");
    for part in [own_line, "program.py:", " · total ", " · self "] {
        assert!(details.contains(part), "{details:?} without {part:?}");
    }
    let matched = told["matched"].as_str().expect("a text");
    assert!(matched.starts_with("Matched: "), "{told}");
    assert!(told["subtitle"].as_f64().expect("a width") <= screen[0]);
    for bottom in numbers(told, "bottoms") {
        assert!((0.0..=100.0).contains(&bottom), "{told}");
    }
}

#[test]
fn a_program_with_deep_imports_shows_its_own_code_first() {
    needs!(v3_11, chromium);
    let told = shown(IMPORTS);
    check(&told, "<module>");
}

#[test]
fn a_server_of_threads_shows_its_own_code_first() {
    needs!(v3_11, chromium);
    let told = shown(SERVER);
    check(&told, "");
}

#[test]
fn a_pool_of_processes_shows_its_own_code_first() {
    needs!(v3_11, chromium);
    let told = shown(POOL);
    check(&told, "");
}

#[test]
fn an_asyncio_program_shows_its_own_code_first() {
    needs!(v3_11, chromium);
    let told = shown(TASKS);
    check(&told, "");
}

#[test]
fn ranks_show_their_own_code_first_in_one_picture() {
    needs!(v3_11, chromium);
    let python = python("v3_11").command.join(" ");
    let script = format!(
        "for rank in 0 1 2; do SLURM_PROCID=$rank SLURM_NTASKS=3 {python} program.py & done; wait"
    );
    let command = ["sh", "-c", script.as_str()].map(str::to_owned);
    let told = shown_of(RANK, &command);
    check(&told, "");
}

#[test]
fn the_head_of_a_high_flame_graph_stays_in_sight() {
    needs!(v3_11, chromium);
    let told = shown(DEEP);
    assert!(
        told["scrolled"].as_f64().expect("a number") > 500.0,
        "{told}"
    );
    check(&told, "<module>");
}
