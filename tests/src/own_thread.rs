//! Servers of a scenario with a thread of their own: a scenario that waits for a command does not keep them from answering that command.

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Serves on a free port of this machine until what it returns beside the port is dropped.
pub(crate) fn listen<F, S>(serve: S) -> (u16, oneshot::Sender<()>)
where
    F: Future<Output = ()>,
    S: FnOnce(TcpListener) -> F + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let port = listener.local_addr().expect("a bound port").port();
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            tokio::select! {
                _ = ended => {}
                () = serve(listener) => {}
            }
        });
    });
    (port, end)
}
