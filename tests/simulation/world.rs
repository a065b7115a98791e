//! One history: nodes, what they do at the same time, and what befalls them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use corosensei::stack::DefaultStack;
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::Pool;
use ipnetwork::Ipv4Network;

use crate::chance::Chance;
use crate::coroutine::{Fault, Grant, Seat, Task};
use crate::operation::{Answer, Operation, Remembered};
use crate::oracle::{Effect, Oracle, Permit};
use crate::truth::{Truth, View};

const NODES: usize = 5;
const STEPS: u64 = 200;
const STACK: usize = 256 * 1024;

/// What may go wrong in a history.
#[derive(Debug, Clone, Copy)]
struct Weather {
    crashes: bool,
    lost_replies: bool,
    stale_reads: bool,
}

struct Actor {
    node: NodeName,
    ipam: Ipam,
    seat: Arc<Seat>,
    running: Option<Running>,
}

struct Running {
    operation: Operation,
    task: Task<Answer>,
    effect: Effect,
    /// Whether a store call of it failed.
    troubled: bool,
}

/// A world and its history so far.
pub struct World {
    chance: Chance,
    weather: Weather,
    pool: Ipv4Network,
    block_len: u8,
    truth: Arc<Mutex<Truth>>,
    clock: Arc<AtomicU64>,
    oracle: Oracle,
    actors: Vec<Actor>,
    known: Vec<Remembered>,
    stacks: Vec<DefaultStack>,
    /// The last things that happened, for whoever must understand a violation.
    pub tail: Vec<String>,
    narrate: bool,
}

impl World {
    /// The world that `seed` decides; `narrate` keeps what happens in [`World::tail`].
    pub fn new(seed: u64, narrate: bool, stacks: Vec<DefaultStack>) -> Self {
        let mut chance = Chance::new(seed);
        let weather = Weather {
            crashes: chance.one_in(2),
            lost_replies: chance.one_in(3),
            stale_reads: chance.one_in(3),
        };
        let (pool, block_len) = *chance.pick(&[
            ("10.0.0.0/28", 30),
            ("10.0.0.0/27", 29),
            ("10.0.0.0/26", 28),
        ]);
        let mut world = Self {
            chance,
            weather,
            pool: pool.parse().expect("a prefix"),
            block_len,
            truth: Arc::default(),
            clock: Arc::new(AtomicU64::new(1_000_000_000)),
            oracle: Oracle::default(),
            actors: Vec::new(),
            known: Vec::new(),
            stacks,
            tail: Vec::new(),
            narrate,
        };
        for place in 0..NODES {
            // The first two are processes of one node.
            let node = NodeName::try_new(&format!("node-{}", place.max(1))).expect("a name");
            let seat = Arc::new(Seat::default());
            let ipam = world.allocator(place, &seat);
            world.actors.push(Actor {
                node,
                ipam,
                seat,
                running: None,
            });
        }
        let pool = Pool::try_new("pods", world.pool, block_len).expect("a pool");
        world.actors[0]
            .ipam
            .create_pool(&pool)
            .expect("the first pool");
        world
    }

    fn allocator(&mut self, actor: usize, seat: &Arc<Seat>) -> Ipam {
        let view = View {
            truth: Arc::clone(&self.truth),
            seat: Arc::clone(seat),
            actor,
        };
        let now = Arc::clone(&self.clock);
        let clock = Arc::clone(&self.clock);
        let random = Mutex::new(Chance::new(self.chance.next()));
        let waiting = Arc::clone(seat);
        let ambient = Ambient::system()
            .with_clock(move || UNIX_EPOCH + Duration::from_micros(now.load(Ordering::Relaxed)))
            .with_random(move || random.lock().expect("no panic").next())
            .with_pause(move |pause| {
                let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                clock.fetch_add(micros, Ordering::Relaxed);
                waiting.stop();
            });
        Ipam::new(Arc::new(view), ambient)
    }

    /// Lets history run until it is long enough, then brings it to its end and looks at what is left.
    ///
    /// # Errors
    /// What was violated.
    pub fn run(&mut self) -> Result<u64, String> {
        self.judge(0)?;
        while self.truth.lock().expect("no panic").calls < STEPS {
            self.step()?;
        }
        for place in 0..NODES {
            while self.actors[place].running.is_some() {
                self.go_on(place, Grant::default())?;
            }
        }
        self.clean_up()?;
        Ok(self.truth.lock().expect("no panic").calls)
    }

    /// The stacks, for the next world.
    pub fn into_stacks(mut self) -> Vec<DefaultStack> {
        for actor in &mut self.actors {
            if let Some(running) = actor.running.take() {
                self.stacks.push(running.task.end());
            }
        }
        self.stacks
    }

    fn step(&mut self) -> Result<(), String> {
        let place = self.chance.below(NODES);
        self.clock
            .fetch_add(1 + self.chance.below(1000) as u64, Ordering::Relaxed);
        if self.actors[place].running.is_none() {
            return self.begin(place);
        }
        let weather = self.weather;
        if weather.crashes && self.chance.one_in(40) {
            return self.crash(place);
        }
        let mut grant = Grant::default();
        if weather.stale_reads && self.chance.one_in(4) {
            grant.behind = self.chance.below(6) as u64;
        }
        if weather.lost_replies && self.chance.one_in(25) {
            grant.fault = *self.chance.pick(&[Fault::LostReply, Fault::Refused]);
        } else if weather.crashes && self.chance.one_in(40) {
            grant.fault = Fault::DiesAfter;
        }
        self.go_on(place, grant)?;
        if grant.fault == Fault::DiesAfter && self.actors[place].running.is_some() {
            self.crash(place)?;
        }
        Ok(())
    }

    fn begin(&mut self, place: usize) -> Result<(), String> {
        let operation = Operation::draw(&mut self.chance, self.pool, self.block_len, &self.known);
        self.start(place, operation)
    }

    fn start(&mut self, place: usize, operation: Operation) -> Result<(), String> {
        self.note(|| format!("{place} begins {operation:?}"));
        let stack = self.stacks.pop();
        let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory"));
        let actor = &mut self.actors[place];
        let (ipam, node, call) = (actor.ipam.clone(), actor.node.clone(), operation.clone());
        let task = Task::new(&actor.seat, stack, move || call.run(&ipam, &node));
        let effect = Effect::default();
        actor.running = Some(Running {
            operation,
            task,
            effect,
            troubled: false,
        });
        self.go_on(place, Grant::default())
    }

    fn go_on(&mut self, place: usize, grant: Grant) -> Result<(), String> {
        let running = self.actors[place].running.as_mut().expect("under way");
        running.troubled |= grant.fault != Fault::None;
        let answer = running.task.go_on(grant);
        if grant.fault != Fault::None {
            self.note(|| format!("{place} meets {:?}", grant.fault));
        }
        self.judge(place)?;
        let Some(answer) = answer else { return Ok(()) };
        let running = self.actors[place].running.take().expect("under way");
        self.note(|| format!("{place} ends: {answer:?}"));
        self.stacks.push(running.task.end());
        judge_answer(
            &running.operation,
            &answer,
            &running.effect,
            running.troubled,
        )?;
        if let Some((handle, _)) = running.operation.wants() {
            self.remember(handle, &answer);
        }
        Ok(())
    }

    fn remember(&mut self, handle: &HandleId, answer: &Answer) {
        for (addr, sequence) in &answer.assigned {
            let handle = handle.clone();
            self.known.push(Remembered {
                addr: *addr,
                handle,
                sequence: *sequence,
            });
        }
        let surplus = self.known.len().saturating_sub(24);
        self.known.drain(..surplus);
    }

    /// The process dies where it stands; another one takes its place, and knows nothing.
    fn crash(&mut self, place: usize) -> Result<(), String> {
        self.note(|| format!("{place} dies"));
        if let Some(running) = self.actors[place].running.take() {
            self.stacks.push(running.task.end());
        }
        let seat = Arc::new(Seat::default());
        self.actors[place].ipam = self.allocator(place, &seat);
        self.actors[place].seat = seat;
        self.judge(place)
    }

    /// Judges what was committed since.
    fn judge(&mut self, place: usize) -> Result<(), String> {
        let unjudged = std::mem::take(&mut self.truth.lock().expect("no panic").unjudged);
        for committed in unjudged {
            assert_eq!(committed.actor, place, "one goes on at a time");
            self.note(|| format!("{place} commits {}", described(&committed.changes)));
            let actor = &mut self.actors[place];
            let Some(running) = &mut actor.running else {
                continue;
            };
            let permit = Permit {
                node: actor.node.as_str(),
                operation: &running.operation,
            };
            let effect = self.oracle.judge(&committed, permit)?;
            running.effect.gained.extend(effect.gained);
            running.effect.lost.extend(effect.lost);
        }
        Ok(())
    }

    /// Everything is given back: whatever is left then was lost.
    fn clean_up(&mut self) -> Result<(), String> {
        for number in 0..12 {
            let handle = HandleId::try_new(&format!("h{number}")).expect("a handle");
            self.do_whole(0, Operation::ReleaseHandle(handle))?;
        }
        let size = 1 << (32 - self.block_len);
        for place in 1..NODES {
            for start in (0..self.pool.size()).step_by(size) {
                let addr = self.pool.nth(start).expect("inside");
                let block = Ipv4Network::new(addr, self.block_len).expect("a block");
                self.do_whole(place, Operation::ReleaseBlock(block))?;
            }
        }
        self.oracle.check_nothing_left()
    }

    fn do_whole(&mut self, place: usize, operation: Operation) -> Result<(), String> {
        self.start(place, operation)?;
        while self.actors[place].running.is_some() {
            self.go_on(place, Grant::default())?;
        }
        Ok(())
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.narrate {
            self.tail.push(line());
        }
    }
}

/// What was answered is what was done: no more, no less.
fn judge_answer(
    operation: &Operation,
    answer: &Answer,
    effect: &Effect,
    troubled: bool,
) -> Result<(), String> {
    let mut gained: Vec<_> = effect.gained.clone();
    let mut assigned: Vec<_> = answer
        .assigned
        .iter()
        .map(|(addr, s)| (*addr, s.0))
        .collect();
    gained.sort_unstable();
    assigned.sort_unstable();
    let mut released = answer.released.clone();
    let mut lost = effect.lost.clone();
    released.sort_unstable();
    lost.sort_unstable();
    let most = operation.wants().map_or(0, |(_, count)| count);
    if gained.len() > most {
        return Err(format!("{operation:?} took {gained:?}"));
    }
    if assigned.iter().any(|one| !gained.contains(one)) {
        return Err(format!(
            "{operation:?} answered {assigned:?} and took {gained:?}"
        ));
    }
    if troubled {
        return Ok(());
    }
    if gained != assigned || released != lost {
        return Err(format!("{operation:?} answered {answer:?}, did {effect:?}"));
    }
    if assigned.len() < most && answer.error.is_none() && !answer.short {
        return Err(format!(
            "{operation:?} says nothing of what is missing: {answer:?}"
        ));
    }
    Ok(())
}

type Change = (String, Option<Arc<[u8]>>, Option<Arc<[u8]>>);

fn described(changes: &[Change]) -> String {
    let text = |value: &Option<Arc<[u8]>>| {
        value.as_deref().map_or("nothing".into(), |value| {
            String::from_utf8_lossy(value).into_owned()
        })
    };
    let lines = changes
        .iter()
        .map(|(key, _, after)| format!("\n    {key} = {}", text(after)));
    lines.collect()
}
