//! Lines that wait to be written by a thread. What is logged while the thread writes is written next, all at once.
//!
//! The queue is bounded. Lines of level INFO and below may fill half of it, so that they leave space for warnings however
//! many they are. A line that finds no space is left out and counted: no caller waits.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The bytes that may wait.
const MAX_BYTES: usize = 4 << 20;
/// Of these, the bytes that lines of level INFO and below may take.
const MAX_BYTES_OF_INFO: usize = 2 << 20;
/// Buffers larger than this, left by a slow reader, are given back.
const KEPT_BYTES: usize = 64 << 10;
/// The thread waits this long for further lines, so that a busy service wakes it rarely.
const GATHER: Duration = Duration::from_millis(2);

/// The queue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LineQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when the first line arrives, and when a flush begins.
    filled: Condvar,
    /// Told when lines have been written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The bytes that have been queued since the start, and how many of them are written.
    queued: usize,
    written: usize,
    flushing: bool,
    left_out: u64,
}

impl LineQueue {
    /// Starts the thread that writes the lines. They are lost if `output` fails.
    pub(super) fn write_to(&self, output: impl Write + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_lines(output)).map(drop)
    }

    /// Waits until the lines that were queued before are written, or for this long.
    pub(super) fn flush(&self, longest: Duration) {
        let mut state = self.0.lock();
        state.flushing = true;
        self.0.filled.notify_all();
        let until = state.queued;
        let waited = self.0.written.wait_timeout_while(state, longest, |state| state.written < until);
        waited.unwrap_or_else(PoisonError::into_inner).0.flushing = false;
    }

    /// The lines that found no space.
    pub(super) fn left_out(&self) -> u64 {
        self.0.lock().left_out
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], max_bytes: usize) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > max_bytes {
            state.left_out += 1;
            return;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        state.queued += line.len();
        drop(state);
        if was_empty {
            self.filled.notify_all();
        }
    }

    fn write_lines(&self, mut output: impl Write) {
        let (mut lines, mut reported) = (Vec::new(), 0);
        loop {
            let left_out = self.take(&mut lines);
            // There is no place to report this error.
            drop(output.write_all(&lines).and_then(|()| output.flush()));
            if left_out > reported {
                tracing::warn!(left_out = left_out - reported, "log lines left out; standard error is read too slowly");
                reported = left_out;
            }
        }
    }

    /// Counts `lines` as written, waits for others and puts them there. Returns how many were left out until now.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.written += lines.len();
        self.written.notify_all();
        lines.clear();
        lines.shrink_to(KEPT_BYTES);
        state = self.filled.wait_while(state, |state| state.lines.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let gathered = self.filled.wait_timeout_while(state, GATHER, |state| !state.flushing);
        state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        mem::swap(&mut state.lines, lines);
        state.left_out
    }
}

/// Puts one line into the queue.
pub(super) struct LineWriter<'a> {
    queue: &'a Shared,
    max_bytes: usize,
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { queue: &self.0, max_bytes: MAX_BYTES_OF_INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        let max_bytes = if *metadata.level() <= Level::WARN { MAX_BYTES } else { MAX_BYTES_OF_INFO };
        LineWriter { max_bytes, ..self.make_writer() }
    }
}

impl Write for LineWriter<'_> {
    /// tracing-subscriber writes each line by one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.max_bytes);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// An output that takes a write when the test receives it.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow_queue() -> (LineQueue, Receiver<Vec<u8>>) {
        let (queue, (sender, receiver)) = (LineQueue::default(), sync_channel(0));
        queue.write_to(Slow(sender)).expect("a thread");
        (queue, receiver)
    }

    fn received(output: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(output.recv_timeout(LONG).expect("written")).expect("UTF-8")
    }

    #[test]
    fn lines_are_written_in_order_and_those_that_waited_at_once() {
        let (queue, output) = slow_queue();
        queue.0.push(b"one\n", MAX_BYTES);
        // What is queued after the thread has taken the first line is not part of its write.
        while !queue.0.lock().lines.is_empty() {
            thread::yield_now();
        }
        queue.0.push(b"two\n", MAX_BYTES);
        queue.0.push(b"three\n", MAX_BYTES);
        assert_eq!([received(&output), received(&output)], ["one\n", "two\nthree\n"]);
    }

    #[test]
    fn lines_that_are_not_read_leave_space_for_warnings_and_are_counted() {
        let (queue, _output) = slow_queue();
        let info = vec![b'.'; 1 << 10];
        for _ in 0..2 * MAX_BYTES / info.len() {
            queue.0.push(&info, MAX_BYTES_OF_INFO);
        }
        let left_out = queue.left_out();
        assert!(left_out > 0);
        let waiting = queue.0.lock().lines.len();
        assert!(waiting <= MAX_BYTES_OF_INFO, "{waiting} bytes wait");
        queue.0.push(b"a warning\n", MAX_BYTES);
        assert_eq!(queue.left_out(), left_out);
        assert!(queue.0.lock().lines.ends_with(b"a warning\n"));
    }

    #[test]
    fn a_flush_waits_for_all_lines_and_not_for_ever() {
        let (queue, output) = slow_queue();
        queue.flush(LONG);
        queue.0.push(b"last\n", MAX_BYTES);
        queue.flush(Duration::from_millis(20));
        let flushing = thread::spawn({
            let queue = queue.clone();
            move || queue.flush(LONG)
        });
        assert_eq!(received(&output), "last\n");
        flushing.join().expect("the flush ends");
        assert!(queue.0.lock().lines.is_empty());
    }
}
