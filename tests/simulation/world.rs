//! One history: nodes, what they do at the same time, and what befalls them.

mod ending;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use corosensei::stack::DefaultStack;
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::{HandleId, NodeName};

use crate::answers::{Done, judge_answer};
use crate::chance::Chance;
use crate::coroutine::{Fault, Grant, Seat, Task};
use crate::operation::{Answer, Operation};
use crate::oracle::{Effect, Oracle, Permit};
use crate::scene::{CALICOS_TIME, PROCESSES, Present, Remembered, Scene};
use crate::truth::{Committed, Truth, View};

/// The fewest store calls of a history.
const STEPS: u64 = 200;
const STACK: usize = 256 * 1024;
const MICROS: u64 = 1_000_000;

/// What may go wrong in a history.
#[derive(Debug, Clone, Copy)]
struct Weather {
    crashes: bool,
    lost_replies: bool,
    /// Once in so many calls something goes wrong, where replies are lost.
    faults: usize,
    stale_reads: bool,
    /// One read in so many is late, where any is.
    late: usize,
    /// Whether hours pass.
    slow: bool,
}

struct Actor {
    node: NodeName,
    ipam: Ipam,
    view: Arc<View>,
    seat: Arc<Seat>,
    running: Option<Running>,
}

struct Running {
    task: Task<Answer>,
    call: Call,
    effect: Effect,
    /// Whether a store call of it failed.
    troubled: bool,
}

/// One call of one actor.
#[derive(Debug, Clone)]
struct Call {
    number: u64,
    node: NodeName,
    operation: Operation,
    /// In seconds.
    began: u64,
    /// The oldest revision that it may have seen, once it has ended.
    since: u64,
    /// Whether it ended, and said that it did what it should.
    is_answered: bool,
}

/// A world and its history so far.
pub(crate) struct World {
    chance: Chance,
    weather: Weather,
    scene: Scene,
    truth: Arc<Mutex<Truth>>,
    clock: Arc<AtomicU64>,
    oracle: Oracle,
    actors: Vec<Actor>,
    known: Vec<Remembered>,
    calicos_handles: Vec<String>,
    /// The oldest revision that the last check saw whose report is kept.
    checked: u64,
    /// How many operations there were.
    operations: u64,
    /// Those that ended while a commit of theirs is on its way.
    ended: BTreeMap<u64, Call>,
    stacks: Vec<DefaultStack>,
    /// What happened, for whoever must understand a violation.
    pub(crate) tail: Vec<String>,
    narrate: bool,
}

impl World {
    /// The world that `seed` decides; `narrate` keeps what happens in [`World::tail`].
    pub(crate) fn new(seed: u64, narrate: bool, stacks: Vec<DefaultStack>) -> Self {
        let mut chance = Chance::new(seed);
        let weather = Weather {
            crashes: chance.one_in(2),
            lost_replies: chance.one_in(2),
            faults: if chance.one_in(3) { 6 } else { 25 },
            stale_reads: chance.one_in(2),
            late: if chance.one_in(3) { 2 } else { 4 },
            slow: chance.one_in(2),
        };
        let ordered = !weather.stale_reads || chance.one_in(2);
        let scene = Scene::draw(&mut chance, ordered);
        let oracle = Oracle::new(scene.with_calico, ordered);
        let actors = PROCESSES + if scene.with_calico { 2 } else { 0 };
        let truth = Truth::new(actors, ordered);
        let mut world = Self {
            chance,
            weather,
            scene,
            truth: Arc::new(Mutex::new(truth)),
            clock: Arc::new(AtomicU64::new(1000 * MICROS)),
            oracle,
            actors: Vec::new(),
            known: Vec::new(),
            calicos_handles: Vec::new(),
            checked: 0,
            operations: 0,
            ended: BTreeMap::new(),
            stacks,
            tail: Vec::new(),
            narrate,
        };
        for place in 0..actors {
            let node = match place < PROCESSES {
                true => Scene::node(place),
                false => NodeName::try_new("calico-1").expect("a name"),
            };
            let actor = world.actor(place, node);
            world.actors.push(actor);
        }
        world
    }

    /// A new process, which knows nothing.
    fn actor(&mut self, place: usize, node: NodeName) -> Actor {
        let seat = Arc::new(Seat::default());
        let view = Arc::new(View {
            truth: Arc::clone(&self.truth),
            seat: Arc::clone(&seat),
            actor: place,
        });
        let now = Arc::clone(&self.clock);
        let clock = Arc::clone(&self.clock);
        let random = Mutex::new(Chance::new(self.chance.next()));
        let waiting = Arc::clone(&seat);
        let ambient = Ambient::system()
            .with_clock(move || UNIX_EPOCH + Duration::from_micros(now.load(Ordering::Relaxed)))
            .with_random(move || random.lock().expect("no panic").next())
            .with_pause(move |pause| {
                let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                clock.fetch_add(micros, Ordering::Relaxed);
                waiting.stop();
            });
        Actor {
            node,
            ipam: Ipam::new(view.clone(), ambient),
            view,
            seat,
            running: None,
        }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("no operation panics")
    }

    fn micros(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Lets history run until it is long enough, then brings it to its end and looks at what is left.
    ///
    /// # Errors
    /// What was violated.
    pub(crate) fn run(&mut self) -> Result<u64, String> {
        for number in 0..self.scene.first_pools {
            self.do_whole(0, Operation::CreatePool(self.scene.plans[number]))?;
        }
        while self.truth().calls < STEPS {
            self.step()?;
        }
        for place in 0..self.actors.len() {
            while self.actors[place].running.is_some() {
                self.go_on(place, Grant::default())?;
            }
        }
        while self.arrive()? {}
        self.check()?;
        self.clean_up()?;
        Ok(self.truth().calls)
    }

    /// The stacks, for the next world.
    pub(crate) fn into_stacks(mut self) -> Vec<DefaultStack> {
        for actor in &mut self.actors {
            if let Some(running) = actor.running.take() {
                self.stacks.push(running.task.end());
            }
        }
        self.stacks
    }

    fn step(&mut self) -> Result<(), String> {
        let mut pass = 1 + self.chance.below(1000) as u64;
        if self.weather.slow && self.chance.one_in(60) {
            pass += (20 + self.chance.below(60) as u64) * MICROS;
        }
        self.clock.fetch_add(pass, Ordering::Relaxed);
        if self.weather.lost_replies && self.chance.one_in(10) {
            self.arrive()?;
        }
        let place = self.chance.below(self.actors.len());
        if self.actors[place].running.is_none() {
            return self.begin(place);
        }
        let weather = self.weather;
        if self.is_over(place) || (weather.crashes && self.chance.one_in(40)) {
            return self.crash(place);
        }
        let mut grant = Grant::default();
        if weather.stale_reads && self.chance.one_in(weather.late) {
            let most = *self.chance.pick(&[4, 8, 16, 40]);
            grant.behind = self.chance.below(most) as u64;
        }
        if weather.lost_replies && self.chance.one_in(weather.faults) {
            let faults = [Fault::LostReply, Fault::Refused, Fault::OnTheWay];
            // Calico compares nothing again, so what it sent arrives or does not.
            let count = if place < PROCESSES { 3 } else { 2 };
            grant.fault = *self.chance.pick(&faults[..count]);
        } else if weather.crashes && self.chance.one_in(40) {
            grant.fault = Fault::DiesAfter;
        }
        self.go_on(place, grant)?;
        if grant.fault == Fault::DiesAfter && self.actors[place].running.is_some() {
            self.crash(place)?;
        }
        Ok(())
    }

    /// Whether it is an operation of Calico that ends by itself, having taken too long.
    fn is_over(&self, place: usize) -> bool {
        let running = self.actors[place].running.as_ref();
        let is_old = |running: &Running| running.call.began + CALICOS_TIME < self.micros() / MICROS;
        place >= PROCESSES && running.is_some_and(is_old)
    }

    /// A commit that was on its way arrives, if there is one.
    fn arrive(&mut self) -> Result<bool, String> {
        let count = self.truth().on_the_way.len();
        if count == 0 {
            return Ok(false);
        }
        let number = self.chance.below(count);
        self.truth().arrive(number);
        self.judge()?;
        Ok(true)
    }

    fn begin(&mut self, place: usize) -> Result<(), String> {
        let state = &self.oracle.state;
        let operation = if place >= PROCESSES {
            self.scene
                .draw_calico(&mut self.chance, &mut self.calicos_handles, state)
        } else if !self.calicos_handles.is_empty() && self.chance.one_in(12) {
            let handle = self.chance.pick(&self.calicos_handles);
            let handle = HandleId::try_new(handle).expect("a handle");
            match self.chance.one_in(2) {
                true => Operation::AssignAny { handle },
                false => Operation::ReleaseHandle(handle),
            }
        } else {
            let present = Present {
                node: self.actors[place].node.as_str(),
                state,
                known: &self.known,
            };
            self.scene.draw_operation(&mut self.chance, present)
        };
        self.start(place, operation)
    }

    fn start(&mut self, place: usize, operation: Operation) -> Result<(), String> {
        self.note(|| format!("{place} begins {operation:?}"));
        self.operations += 1;
        let call = self.call(place, operation);
        self.truth().begin(place, call.number);
        if let Operation::Repair(shelf) = &call.operation
            && shelf.lock().expect("no panic").is_some()
        {
            self.truth().sessions[place].oldest = self.checked;
        }
        let stack = self.stacks.pop();
        let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory"));
        let now = self.micros() * 1000;
        let actor = &mut self.actors[place];
        let (ipam, view, own) = (actor.ipam.clone(), Arc::clone(&actor.view), call.clone());
        let task = Task::new(&actor.seat, stack, move || {
            if let Operation::Calico(calico) = &own.operation {
                calico.run(&*view, now);
                return Answer::default();
            }
            own.operation.run(&ipam, &own.node)
        });
        actor.running = Some(Running {
            task,
            call,
            effect: Effect::default(),
            troubled: false,
        });
        self.go_on(place, Grant::default())
    }

    fn call(&self, place: usize, operation: Operation) -> Call {
        Call {
            number: self.operations,
            node: self.actors[place].node.clone(),
            operation,
            began: self.micros() / MICROS,
            since: 0,
            is_answered: false,
        }
    }

    fn go_on(&mut self, place: usize, grant: Grant) -> Result<(), String> {
        let running = self.actors[place].running.as_mut().expect("under way");
        running.troubled |= grant.fault != Fault::None;
        // No two look at the same instant.
        self.clock.fetch_add(1, Ordering::Relaxed);
        let answer = running.task.go_on(grant);
        if grant.fault != Fault::None {
            self.note(|| format!("{place} meets {:?}", grant.fault));
        }
        self.judge()?;
        match answer {
            Some(answer) => self.end(place, &answer),
            None => Ok(()),
        }
    }

    fn end(&mut self, place: usize, answer: &Answer) -> Result<(), String> {
        self.note(|| format!("{place} ends: {answer:?}"));
        let mut running = self.actors[place].running.take().expect("under way");
        self.stacks.push(running.task.end());
        running.call.is_answered = answer.error.is_none() && !answer.short;
        let done = Done {
            node: running.call.node.as_str(),
            operation: &running.call.operation,
            effect: &running.effect,
            troubled: running.troubled,
        };
        judge_answer(&self.oracle, &done, answer)?;
        if matches!(done.operation, Operation::Check(_)) && answer.error.is_none() {
            let oldest = self.truth().sessions[place].oldest;
            self.checked = oldest;
        }
        if let [handle] = done.operation.owners(done.node).as_slice() {
            self.remember(handle, answer);
        }
        self.bury(place, running.call);
        Ok(())
    }

    /// Keeps `call` as long as a commit of it may arrive.
    fn bury(&mut self, place: usize, mut call: Call) {
        let truth = self.truth();
        let waits = truth
            .on_the_way
            .iter()
            .any(|(_, number, _)| *number == call.number);
        call.since = truth.sessions[place].oldest;
        drop(truth);
        if waits {
            self.ended.insert(call.number, call);
        }
    }

    fn remember(&mut self, handle: &HandleId, answer: &Answer) {
        for (addr, sequence) in &answer.assigned {
            self.known.push(Remembered {
                addr: *addr,
                handle: handle.clone(),
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
            self.bury(place, running.call);
        }
        let node = self.actors[place].node.clone();
        self.actors[place] = self.actor(place, node);
        self.judge()
    }

    /// Judges what was committed since.
    fn judge(&mut self) -> Result<(), String> {
        let unjudged = std::mem::take(&mut self.truth().unjudged);
        for committed in unjudged {
            self.judge_commit(&committed)?;
        }
        Ok(())
    }

    fn judge_commit(&mut self, committed: &Committed) -> Result<(), String> {
        let place = committed.actor;
        self.note(|| format!("{place} commits {}", described(committed)));
        let since = self.truth().sessions[place].oldest;
        let now = self.micros() / MICROS;
        let running = self.actors[place].running.as_mut();
        let mut running = running.filter(|running| running.call.number == committed.operation);
        let (call, since) = match &running {
            Some(running) => (&running.call, since),
            None => {
                let call = &self.ended[&committed.operation];
                (call, call.since)
            }
        };
        let is_ours = !matches!(call.operation, Operation::Calico(_));
        if call.is_answered && self.oracle.ordered && is_ours {
            return Err(format!("{:?} took effect after its answer", call.operation));
        }
        let permit = Permit {
            node: call.node.as_str(),
            operation: &call.operation,
            since,
            began: call.began,
            now,
        };
        let effect = self.oracle.judge(committed, &permit)?;
        if let Some(running) = &mut running {
            running.effect.add(effect);
        }
        Ok(())
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

fn described(committed: &Committed) -> String {
    let lines = committed.changes.iter().map(|(key, _, after)| {
        let after = after.as_deref();
        let after = after.map_or("nothing".into(), |after| String::from_utf8_lossy(after));
        format!("\n    {key} = {after}")
    });
    lines.collect()
}
