//! When an open session is to be judged again.

use std::future::pending;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Follows what an open session rests on, and the time: dates pass without anybody's doing.
///
/// It does not know what it follows, nor how a session is judged.
#[derive(Debug)]
pub struct Vigil {
    sources: [watch::Receiver<u64>; 2],
    every: Duration,
    /// How long after a change it is due: very many sessions that follow the same need not ask at once.
    spread: Duration,
    due_at: Instant,
    /// When something ends that the session rests on.
    date: Option<Instant>,
    /// A change was seen that it is not due for yet.
    is_changed: bool,
}

impl Vigil {
    /// Due after each change of a source from now on, and `every` so long. To be made before the session is judged first.
    pub fn new(mut sources: [watch::Receiver<u64>; 2], every: Duration) -> Self {
        sources.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let due_at = Instant::now() + every;
        Self { sources, every, spread: Duration::ZERO, due_at, date: None, is_changed: false }
    }

    /// The same over one source.
    pub fn over(source: watch::Receiver<u64>, every: Duration) -> Self {
        // Nothing is ever sent there.
        let (_, never) = watch::channel(0);
        Self::new([source, never], every)
    }

    /// The same, due so long after a change when nobody asks before.
    pub fn spread(self, spread: Duration) -> Self {
        Self { spread, ..self }
    }

    /// Due also in so long, when something ends that the session rests on.
    pub fn set_end(&mut self, ends_in: Option<Duration>) {
        self.date = ends_in.and_then(|left| Instant::now().checked_add(left));
    }

    /// Whether it is due; asked without waiting. If so, what is known now is what the next change is measured against.
    pub fn is_due(&mut self) -> bool {
        // A source that is gone changes no more.
        let has_changed = self.sources.iter().any(|source| source.has_changed().unwrap_or(false));
        let is_due = has_changed || self.is_changed || Instant::now() >= self.next();
        if is_due {
            self.begin_again();
        }
        is_due
    }

    /// Returns when it is due. May be cancelled without loss.
    pub async fn due(&mut self) {
        loop {
            let next = self.next();
            let [first, second] = &mut self.sources;
            tokio::select! {
                () = changed(first) => {}
                () = changed(second) => {}
                () = sleep_until(next) => break,
            }
            if !self.is_changed {
                self.is_changed = true;
                self.ask_again_in(self.spread);
            }
        }
        self.begin_again();
    }

    /// Due once more after so long: what was asked could not be answered.
    pub fn ask_again_in(&mut self, pause: Duration) {
        self.due_at = self.due_at.min(Instant::now() + pause);
    }

    fn next(&self) -> Instant {
        self.date.map_or(self.due_at, |date| date.min(self.due_at))
    }

    fn begin_again(&mut self) {
        self.sources.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let now = Instant::now();
        (self.due_at, self.is_changed) = (now + self.every, false);
        self.date = self.date.filter(|date| *date > now);
    }
}

async fn changed(source: &mut watch::Receiver<u64>) {
    if source.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(3600);

    async fn is_due_now(vigil: &mut Vigil) -> bool {
        timeout(Duration::from_millis(1), vigil.due()).await.is_ok()
    }

    #[tokio::test]
    async fn what_could_not_be_answered_is_due_again_soon() {
        let (first, second) = (watch::Sender::new(0), watch::Sender::new(0));
        let mut vigil = Vigil::new([first.subscribe(), second.subscribe()], LONG);
        vigil.ask_again_in(Duration::ZERO);
        assert!(vigil.is_due() && !vigil.is_due());
    }

    #[tokio::test]
    async fn each_change_is_due_once() {
        let (first, second) = (watch::Sender::new(0), watch::Sender::new(0));
        first.send_replace(1);
        let mut vigil = Vigil::new([first.subscribe(), second.subscribe()], LONG);
        assert!(!is_due_now(&mut vigil).await && !vigil.is_due());
        second.send_replace(1);
        assert!(is_due_now(&mut vigil).await && !is_due_now(&mut vigil).await);
        first.send_replace(2);
        assert!(vigil.is_due() && !vigil.is_due() && !is_due_now(&mut vigil).await);
        drop((first, second));
        assert!(!is_due_now(&mut vigil).await && !vigil.is_due());
    }

    #[tokio::test]
    async fn a_change_is_waited_out_and_told_at_once_to_who_asks() {
        let source = watch::Sender::new(0);
        let mut vigil = Vigil::over(source.subscribe(), LONG).spread(LONG);
        source.send_replace(1);
        assert!(!is_due_now(&mut vigil).await);
        assert!(vigil.is_due() && !vigil.is_due());
        let mut vigil = Vigil::over(source.subscribe(), LONG).spread(Duration::from_millis(5));
        source.send_replace(2);
        vigil.due().await;
        assert!(!vigil.is_due());
    }

    #[tokio::test]
    async fn a_date_makes_it_due_once() {
        let source = watch::Sender::new(0);
        let mut vigil = Vigil::over(source.subscribe(), LONG);
        vigil.set_end(Some(Duration::from_millis(2)));
        vigil.due().await;
        assert!(!vigil.is_due());
        vigil.set_end(Some(Duration::ZERO));
        assert!(vigil.is_due() && !vigil.is_due());
        vigil.set_end(Some(Duration::MAX));
        assert!(!vigil.is_due());
    }

    #[tokio::test]
    async fn time_alone_makes_it_due() {
        let source = watch::Sender::new(0);
        let mut vigil = Vigil::new([source.subscribe(), source.subscribe()], Duration::from_millis(1));
        vigil.due().await;
        let mut vigil = Vigil::new([source.subscribe(), source.subscribe()], Duration::ZERO);
        assert!(vigil.is_due());
    }
}
