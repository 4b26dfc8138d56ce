//! A unit of work with the place where its answer goes.

use super::{Touches, WriteTx};
use crate::{Acceptance, Accepted, Act, Error, RequestMark};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What a unit's closure returns.
pub(crate) type UnitFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 't>>;

/// A unit as its writer sees it.
pub(super) trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()>;

    /// What it will change.
    fn touches(&self) -> Touches;

    /// The message, for units that accept one: those of a batch are written together.
    fn acceptance(&self) -> Option<Arc<Acceptance>> {
        None
    }

    /// The reservation of the request that a message came by.
    fn mark(&self) -> Option<RequestMark> {
        None
    }

    /// What came of a message that was written together with others.
    fn accepted(&mut self, _outcome: Accepted) {}

    /// Answers the caller: `Ok` after the commit, or why there was none.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

pub(super) struct Unit<F, T> {
    pub(super) run: F,
    pub(super) act: Option<Arc<Act>>,
    pub(super) touches: Touches,
    pub(super) value: Option<T>,
    pub(super) caller: oneshot::Sender<Result<T, Error>>,
    pub(super) room: OwnedSemaphorePermit,
}

impl<F, T> Job for Unit<F, T>
where
    T: Send + 'static,
    F: for<'t> FnMut(&'t mut WriteTx) -> UnitFuture<'t, T> + Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()> {
        Box::pin(async move {
            tx.act.clone_from(&self.act);
            let value = (self.run)(tx).await;
            tx.act = None;
            self.value = Some(value?);
            match self.act.as_ref().and_then(|act| act.mark.as_ref()) {
                Some(mark) => tx.mark_request(mark).await,
                None => Ok(()),
            }
        })
    }

    fn touches(&self) -> Touches {
        self.touches.clone()
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { run, value, caller, room, .. } = *self;
        // What the unit held and did not store (the file of a duplicate's body) is gone before its caller hears of it.
        drop((run, room));
        let answer = outcome.and_then(|()| value.ok_or(Error::Inconsistent("a committed unit has no value")));
        // A caller that went away (a dropped connection) loses its answer, not its work.
        let _ = caller.send(answer);
    }
}

/// A unit that accepts a message.
pub(super) struct AcceptUnit {
    pub(super) act: Option<Arc<Act>>,
    pub(super) acceptance: Arc<Acceptance>,
    pub(super) outcome: Option<Accepted>,
    pub(super) caller: oneshot::Sender<Result<Accepted, Error>>,
    pub(super) room: OwnedSemaphorePermit,
}

impl Job for AcceptUnit {
    fn run<'t>(&'t mut self, tx: &'t mut WriteTx) -> UnitFuture<'t, ()> {
        Box::pin(async move {
            self.outcome = Some(tx.accept(&self.acceptance).await?);
            Ok(())
        })
    }

    fn touches(&self) -> Touches {
        Touches::of(&self.acceptance)
    }

    fn acceptance(&self) -> Option<Arc<Acceptance>> {
        Some(self.acceptance.clone())
    }

    fn mark(&self) -> Option<RequestMark> {
        self.act.as_ref().and_then(|act| act.mark.clone())
    }

    fn accepted(&mut self, outcome: Accepted) {
        self.outcome = Some(outcome);
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { acceptance, outcome: accepted, caller, room, .. } = *self;
        // The file of a duplicate's body is gone before its caller hears of it.
        drop((acceptance, room));
        let answer =
            outcome.and_then(|()| accepted.ok_or(Error::Inconsistent("a committed unit has no value")));
        let _ = caller.send(answer);
    }
}
