/*
 * The blueprint / acknowledge / destroy protocol: two conductors, one platform, and a balancing plane of two carriers,
 * HAProxy (whose workers outlive a reload) and the kernel's table. README.md says what is left out, and why.
 *
 * One service of W instances is updated to a new version while an instance, a carrier, the plane and the conductors crash.
 * Sets of instances are bit sets: bit n stands for the instance with number n.
 */
/* Sizes. Nothing fails unless it is asked for: run says what is. */
#ifndef W
#define W 1          /* instances wanted */
#endif
#ifndef SURGE
#define SURGE 1      /* instances more than that during an update */
#endif
#ifndef CRASHES
#define CRASHES 0    /* instances that may die */
#endif
#ifndef LATE
#define LATE 0       /* instances that may be given up because they do not start in time */
#endif
#ifndef HAPROXY
#define HAPROXY 0    /* times HAProxy, master and workers, may die */
#endif
#ifndef KERNEL
#define KERNEL 0     /* times the kernel's table may be taken away */
#endif
#ifndef PLANES
#define PLANES 0     /* times the process that keeps the plane may die and come back */
#endif
#ifndef MORE
#define MORE 0       /* numbers beyond what can be needed: a broken protocol needs them to show how else it breaks */
#endif
#define N (2 * W + CRASHES + LATE + MORE) /* the highest number that can be given out; asserted */
#if N > 6
#error four bits for each number
#endif

#if defined(OLD_CHOOSES) || defined(OLD_RETRIES)
#define OLD_LIST     /* what an old worker of HAProxy has in its list matters */
#endif
#if defined(NO_FLOOR)
#define FLOOR 0
#elif defined(END)
#define FLOOR (x.target -> 0 : W)
#else
#define FLOOR W
#endif
/* Plane.Publish ignores an older generation. OFF_FORGOTTEN: unless the stack is off the plane, as it once did. */
#if defined(OLD_ROUTES)
#define IGNORES false
#define IGNORED(g) false
#elif defined(OFF_FORGOTTEN)
#define IGNORES (routes != 0)
#define IGNORED(g) (g == accepted) /* an older one would be heard again, should the stack go off the plane */
#else
#define IGNORES true
#define IGNORED(g) (g <= accepted)
#endif

#define BIT(n)   (1 << (n))
#define FIRST    (BIT(W + 1) - 2)         /* numbers 1..W */
#define ALL      (BIT(N + 1) - 2)
#define UNKNOWN  ALL                      /* of what is in flight: it could be anybody */
#define GEN(g, n)        (((g) >> (4 * (n))) & 15)
#define SETGEN(g, n, v)  g = (g & ~(15 << (4 * (n)))) | ((v) << (4 * (n)))

typedef Blueprint {
	byte mem, stay, routed, seen, out, ending; /* members; those that stay, take traffic, were ready, …: glint.Member */
	byte fresh;                                /* members of the new version */
	int  gone;                                 /* Member.Gone, four bits for each number */
	unsigned last   : 3;                       /* Fleet.Last */
	unsigned routes : 4;                       /* Blueprint.Routes */
	unsigned target : 1                        /* the version wanted */
}

typedef Observation {
	byte here, dead;       /* instances in the listing; those of them that are dead */
	byte busy;             /* instances with something in flight, as far as is known */
	unsigned acked    : 4; /* Observation.Acked() */
	unsigned complete : 1; /* all places answered */
#ifdef OLD_LISTING
	byte young;            /* left after the moment of the listing */
	bit old;               /* the listing is the one of before */
#endif
	unsigned late     : 1  /* StartWithin is over for those that were never seen */
}

/* What a conductor holds in its hands between the steps of a turn. */
mtype = { decided, asked, listed, read, idle }; /* numbered from the last: idle is 1 */
typedef Mind {
	mtype at;
	bool moved;        /* the head has another number than the one that was read */
	bit want;          /* the revision that was read */
	Blueprint h;       /* the blueprint that was read; once decided, the next one */
	Observation o;
	byte creates, destroys;
#ifdef OLD_LISTING
	bit outdated;      /* the listing of before is older than what the blueprint that was read was decided on */
	bit since;         /* the listing of before is newer than this conductor's look */
#endif
	bool publish
}
Mind mind[2];

/* The store: its newest blueprint, and the newest revision. */
Blueprint head;
bit revision;

/* Steps under way. They belong to nobody: they may be taken long after the conductor that began them gave up or died. */
byte creates, destroys;
short publishes;      /* generations */
byte table[16];       /* their routes */

/* The platform. */
byte exists, dead, spent;
#ifdef OLD_LISTING
byte before = FIRST;  /* what existed at some moment before */
byte young;           /* members that have left since that moment */
bit outdated;         /* the head was decided on a newer listing */
#endif

/* The plane: what it has accepted, durably; and whether its process is up and not just publishing. */
unsigned accepted : 4;
byte routes;
bool up = true, quiet = true;

/* What is in force: the worker of HAProxy that takes new connections, an older worker, the kernel's table. */
bool worker = true, older, kernel = true;
byte at_worker, at_older, at_kernel;

/* A request on its way: over whom, and to which instance. */
mtype = { none, over_worker, over_older, over_kernel };
mtype way = none;
unsigned target_of : 3;
#ifdef OLD_RETRIES
bool waits;           /* it has lost its instance and waits, in its worker, to be tried again */
#endif

/* What the properties need to remember. */
byte given, killed;   /* numbers given out; instances that Glint destroyed alive */
byte fell;            /* instances that have died: each may cost one place in the routes */
bool calm;
#ifdef END
bool ended, closed;   /* the stack; the platform to it */
#endif

unsigned crashes : 2 = CRASHES;
unsigned haproxy : 2 = HAPROXY;
unsigned kernels : 2 = KERNEL;
unsigned planes  : 2 = PLANES;
unsigned lates   : 2 = LATE;

/* Scratch of atomic steps; no part of the state. */
hidden Blueprint x;
hidden Observation o;
hidden int t;
hidden byte i, j, k, b, spare, staying, missing, room, why, lost, s;

inline count(set, into) {
	into = 0;
	for (k : 1 .. N) { if :: (set) & BIT(k) -> into++ :: else fi }
}

/* ---- What must always hold ---- */

/* No request can reach what Glint destroyed alive, and Glint does not take routes below the floor. */
inline safe() {
	assert(!(worker && (at_worker & killed)));
	assert(!(kernel && (at_kernel & killed)));
#ifdef OLD_CHOOSES
	assert(!(older && (at_older & killed)));
#endif
#ifndef END
	count(at_worker, s); assert(!worker || s + fell >= W);
	count(at_kernel, s); assert(!kernel || s + fell >= W);
#endif
}

/* The declared instances, and nothing else, exist and take traffic. */
#define REST (creates == 0 && destroys == 0 && head.target == 1 && head.mem == head.stay && head.mem == head.routed && \
	head.mem == exists && (head.mem & ~head.fresh) == 0 && head.mem != 0 && dead == 0 && accepted == head.routes && up && quiet && \
	worker && kernel && at_worker == head.mem && at_kernel == head.mem)

/* ---- The planner: one turn of plan.Next, from h and o to x ---- */

inline copy(to, from) {
	to.mem = from.mem; to.stay = from.stay; to.routed = from.routed; to.seen = from.seen; to.out = from.out;
	to.ending = from.ending; to.fresh = from.fresh; to.gone = from.gone; to.last = from.last; to.routes = from.routes;
	to.target = from.target
}

inline clear(v) {
	v.mem = 0; v.stay = 0; v.routed = 0; v.seen = 0; v.out = 0; v.ending = 0; v.fresh = 0; v.gone = 0; v.last = 0;
	v.routes = 0; v.target = 0
}

inline blank(v) {
#ifdef OLD_LISTING
	v.young = 0; v.old = 0;
#endif
	v.here = 0; v.dead = 0; v.busy = 0; v.acked = 0; v.complete = 0; v.late = 0
}

inline dismiss() {
	lost = 0;
#ifdef PARTIAL_IS_GONE
	lost = x.mem & ~x.stay & ~o.here;
#else
	if :: o.complete -> lost = x.mem & ~x.stay & ~o.here :: else fi;
#endif
#ifdef OLD_LISTING
#ifndef AT_IS_IGNORED
	lost = lost & ~o.young; /* the listing may be of a moment before they left */
#endif
#endif
	x.mem = x.mem & ~lost; x.out = x.out & x.mem; x.ending = x.ending & x.mem; x.seen = x.seen & x.mem; x.fresh = x.fresh & x.mem;
	for (i : 1 .. N) {
		b = BIT(i);
		if
		:: lost & b -> SETGEN(x.gone, i, 0)
		:: (x.mem & ~x.stay & ~x.ending & o.here) & b ->
			if
#ifndef NO_ACK
			:: !(x.out & b) && o.acked < GEN(x.gone, i) -> skip
#endif
			:: else ->
				x.out = x.out | b;
				SETGEN(x.gone, i, 0); /* it is not asked for again: proven once is proven */
				if
				:: (o.dead & b) || !(o.busy & b) || !(x.seen & b) -> x.ending = x.ending | b
				:: else
				fi
			fi
		:: else
		fi
	}
}

inline judge() {
	x.stay = x.stay & ~o.dead;
	x.seen = x.seen | (x.stay & o.here);
#ifdef PARTIAL_IS_GONE
	x.stay = x.stay & ~(x.seen & ~o.here);
#endif
	if
	:: o.complete ->
		x.stay = x.stay & ~(x.seen & ~o.here);
		if :: o.late -> x.stay = x.stay & (x.seen | o.here) :: else fi
	:: else
	fi
}

/* unwanted and relieve: by worth, least first; equal worth: lower number first. */
inline relieve() {
#ifdef END
	why = (x.target -> x.stay : 0);
#else
	why = (x.target -> x.stay & ~x.fresh : 0);
	count(x.stay & ~why, j);
	s = j;
	for (i : 0 .. 2) {
		for (k : 1 .. N) {
			b = BIT(k);
			if
			:: s > W && (x.stay & ~why & b) && i == ((x.routed & o.here & ~o.dead & b) -> 2 : ((x.seen & b) -> 1 : 0)) -> why = why | b; s--
			:: else
			fi
		}
	};
#endif
	count(x.stay & x.routed & o.here & ~o.dead, spare);
	for (i : 0 .. 2) {
		for (j : 1 .. N) {
			b = BIT(j);
			if
			:: !(x.stay & why & b) -> skip
			:: i != ((x.routed & o.here & ~o.dead & b) -> 2 : ((x.seen & b) -> 1 : 0)) -> skip
			:: !(o.here & b) && !o.complete -> skip
			:: else ->
				if
				:: x.routed & o.here & ~o.dead & b ->
					if
					:: spare > FLOOR -> spare--; x.stay = x.stay & ~b
					:: else
					fi
				:: else -> x.stay = x.stay & ~b
				fi
			fi
		}
	}
}

inline recruit() {
	count(x.stay, staying);
	count(x.stay & ~why, missing);
	missing = (missing < W -> W - missing : 0);
	room = (staying < W + SURGE -> W + SURGE - staying : 0);
	missing = (missing < room -> missing : room);
#ifdef END
	if :: x.target -> missing = 0 :: else fi;
#endif
#ifndef PARTIAL_IS_GONE
	if :: !o.complete -> missing = 0 :: else fi;
#endif
	do
	:: missing > 0 ->
#ifdef REUSE_NUMBERS
		x.last = 1;
		do :: x.mem & BIT(x.last) -> x.last++ :: else -> break od;
#else
		x.last++;
#endif
		assert(x.last <= N);
		b = BIT(x.last);
		x.mem = x.mem | b; x.stay = x.stay | b;
		if :: x.target -> x.fresh = x.fresh | b :: else fi;
		missing--
	:: else -> break
	od
}

inline route() {
	lost = x.routed;
	x.routed = x.routed & x.stay;
	if
	:: o.complete -> x.routed = x.stay & o.here & ~o.dead
	:: else -> x.routed = x.stay & ((x.routed & ~o.here) | (o.here & ~o.dead))
	fi;
	if
	:: lost != x.routed -> x.routes++; assert(x.routes > 0)
	:: else
	fi;
	lost = lost & ~x.routed;
	for (i : 1 .. N) { if :: lost & BIT(i) -> SETGEN(x.gone, i, x.routes) :: else fi }
}

/* ---- The conductor: conductor.step ---- */

#define H mind[me].h
#define SAME (x.mem == H.mem && x.stay == H.stay && x.routed == H.routed && x.seen == H.seen && x.out == H.out && \
	x.ending == H.ending && x.target == H.target && x.last == H.last && x.gone == H.gone)
#ifdef PARTIAL
#define ANSWERS (!calm || up && quiet)
#else
#define ANSWERS (up && quiet)
#endif
#define UPTO(n) (BIT((n) + 1) - 2)

/* plan.Actions of x. */
inline actions() {
	mind[me].publish = o.acked < x.routes;
#ifdef PARTIAL_IS_GONE
	mind[me].creates = x.stay & ~o.here;
#else
	mind[me].creates = (o.complete -> x.stay & ~o.here : 0);
#endif
#ifdef ANY_STRAY
	mind[me].destroys = o.here & (x.ending | ~x.mem)
#elif defined(NO_STRAY)
	mind[me].destroys = o.here & x.ending
#else
	mind[me].destroys = o.here & (x.ending | (UPTO(x.last) & ~x.mem))
#endif
}

/* hands.begin. What can have no effect any more is left out, so that it makes no states. */
inline begin() {
	creates = creates | mind[me].creates;
	destroys = destroys | mind[me].destroys;
	if :: mind[me].publish -> publishes = publishes | BIT(x.routes); table[x.routes] = x.routed :: else fi;
	useless()
}

inline useless() {
#ifndef NO_SPENT
	creates = creates & ~(exists | spent);
#ifdef CLOSES
	if :: closed -> creates = 0 :: else fi;
#endif
#endif
	destroys = destroys & exists;
	for (i : 1 .. 15) { if :: IGNORED(i) -> publishes = publishes & ~BIT(i); table[i] = 0 :: else fi }
}

inline forget(c) {
	mind[c].at = idle; mind[c].moved = false; mind[c].want = 0; mind[c].creates = 0; mind[c].destroys = 0; mind[c].publish = false;
#ifdef OLD_LISTING
	mind[c].outdated = 0; mind[c].since = 0;
#endif
	clear(mind[c].h); blank(mind[c].o)
}

#ifdef END
#ifdef HANDS_KNOWN
#define HANDS (creates == 0 && publishes == 0)
#else
#define HANDS true
#endif
/* conductor.end. With CLOSES the platform is first told that no more is made of this epoch, and is looked at again after that. */
inline end() {
#ifdef CLOSES
	if :: closed -> ended = true :: else -> closed = true; creates = 0 fi
#else
	ended = true
#endif
}
#endif

/* plan.Next and plan.Actions. Where nothing changes the steps begin at once: they may be as late as they like anyway. */
inline decide() {
	copy(x, H);
	x.target = mind[me].want;
	o.here = mind[me].o.here; o.dead = mind[me].o.dead; o.busy = mind[me].o.busy; o.acked = mind[me].o.acked;
	o.complete = mind[me].o.complete; o.late = mind[me].o.late;
#ifdef OLD_LISTING
	o.young = mind[me].o.young;
#endif
	dismiss(); judge(); relieve(); recruit(); route();
	actions();
	if
	:: SAME ->
#ifdef END
		if
		:: x.target && x.mem == 0 && o.complete && o.here == 0 && o.acked >= x.routes && HANDS -> end()
		:: else
		fi;
#endif
		begin(); forget(me)
#ifndef NO_CAS
	:: !SAME && mind[me].moved -> forget(me) /* Advance will say glint.ErrConflict */
#endif
	:: else -> copy(H, x);
#ifdef OLD_LISTING
		b = mind[me].o.old; blank(mind[me].o); mind[me].o.old = b;
#else
		blank(mind[me].o);
#endif
		mind[me].at = decided
	fi
}

/* Store.Advance; then the steps begin. */
inline advance() {
	copy(x, H);
	assert(!(given & x.mem & ~head.mem)); /* no number is given out twice */
	given = given | x.mem;
#ifdef OLD_LISTING
	young = young | (x.mem & ~x.stay & ~(head.mem & ~head.stay));
	if :: !mind[me].o.old && !mind[me].since -> outdated = 1 :: else fi;
#endif
	copy(head, x);
	if
#ifndef NO_CAS
	:: mind[1 - me].at == decided -> forget(1 - me) /* its Advance will say glint.ErrConflict */
#endif
	:: mind[1 - me].at != idle && mind[1 - me].at != decided -> mind[1 - me].moved = true
	:: else
	fi
}


inline list() {
	if
	:: mind[me].o.here = exists; mind[me].o.complete = 1
#ifdef PARTIAL
	:: !calm -> mind[me].o.here = exists & 42 /* the place of the even numbers is silent */
	:: !calm -> mind[me].o.here = exists & 84
#endif
#ifdef OLD_LISTING
	:: mind[me].o.here = before; mind[me].o.young = young; mind[me].o.old = 1;
#ifdef AT_IS_IGNORED
		mind[me].o.complete = 1
#else
		mind[me].o.complete = !mind[me].outdated /* plan.late */
#endif
#endif
	fi;
	if
	:: mind[me].o.complete && lates > 0 && !calm && (H.stay & ~H.seen & ~mind[me].o.here) -> mind[me].o.late = 1; lates--
	:: true
	fi;
#ifndef ANY_STRAY
	mind[me].o.here = mind[me].o.here & UPTO(H.last); /* of what comes after, this blueprint knows nothing */
#endif
	mind[me].o.dead = dead & mind[me].o.here & H.mem
}

/* Plane.Status: it waits while a publication is under way. */
inline answer() {
	o.acked = ((worker && kernel && at_worker == routes && at_kernel == routes) -> accepted : 0);
	o.busy = (way == none -> 0 : BIT(target_of));
#ifdef COUNT_NEWEST
	if :: way == over_older -> o.busy = 0 :: else fi;
#endif
#ifdef OLD_RETRIES
	if :: waits -> o.busy = 0 :: else fi;
#endif
#ifdef ACK_ALL
	if :: older && (at_older & ~routes) -> o.acked = 0 :: else fi;
#endif
	if :: !worker || !kernel -> o.busy = UNKNOWN :: else fi;
	if :: !kernel -> at_kernel = routes; kernel = true :: else fi /* Plane.mend */
}

/* What decide will not ask for is not kept. */
inline keep() {
	b = 0;
	for (i : 1 .. N) { if :: o.acked >= GEN(H.gone, i) && GEN(H.gone, i) > b -> b = GEN(H.gone, i) :: else fi }
	mind[me].o.acked = (o.acked >= H.routes -> H.routes : b);
	mind[me].o.busy = o.busy & H.mem & ~H.stay & ~H.ending & H.seen
}

inline status() {
	if
	:: up && quiet -> d_step { answer(); keep() }
#ifdef PARTIAL
	:: !calm -> d_step { o.acked = 0; o.busy = UNKNOWN; keep() } /* it does not answer in time */
#endif
	fi
}

/* The two conductors are alike: who is further is called 0, so that only half of the states are kept. */
#define CHANGE(f) s = mind[0].f; mind[0].f = mind[1].f; mind[1].f = s
inline sort() {
#ifndef LIVE
	if
	:: mind[0].at < mind[1].at ->
		CHANGE(at); CHANGE(moved); CHANGE(want); CHANGE(creates); CHANGE(destroys); CHANGE(publish);
		CHANGE(h.mem); CHANGE(h.stay); CHANGE(h.routed); CHANGE(h.seen); CHANGE(h.out); CHANGE(h.ending); CHANGE(h.fresh);
		CHANGE(h.last); CHANGE(h.routes); CHANGE(h.target);
		t = mind[0].h.gone; mind[0].h.gone = mind[1].h.gone; mind[1].h.gone = t;
		CHANGE(o.here); CHANGE(o.dead); CHANGE(o.busy); CHANGE(o.acked); CHANGE(o.complete); CHANGE(o.late)
#ifdef OLD_LISTING
		; CHANGE(o.young); CHANGE(o.old); CHANGE(outdated); CHANGE(since)
#endif
	:: else
	fi
#else
	skip
#endif
}

#ifdef END
#define LIVES !ended
#else
#define LIVES true
#endif

proctype Conductor(bit me) {
	do
	:: d_step { mind[me].at == idle && LIVES -> /* Store.Head, Store.Revisions */
#ifdef OLD_LISTING
		mind[me].outdated = outdated;
#endif
		copy(H, head); mind[me].want = revision; mind[me].at = read; sort() }
#ifdef ONE_LOOK
	:: atomic { mind[me].at == read && ANSWERS -> list(); status(); d_step { decide(); sort() } }
#else
	:: atomic { mind[me].at == read -> list(); d_step { mind[me].at = listed; sort() } }
	:: atomic { mind[me].at == listed && ANSWERS -> status(); d_step { decide(); sort() } }
#endif
#ifdef EITHER /* who answers first is open: Observer.Look asks the platform and the plane at the same time */
	:: atomic { mind[me].at == read && ANSWERS -> status(); d_step { mind[me].at = asked; sort() } }
	:: atomic { mind[me].at == asked -> list(); d_step { decide(); sort() } }
#endif
	:: d_step { mind[me].at == decided -> advance(); begin(); forget(me); sort() }
#ifdef DIES
	:: d_step { mind[me].at == decided && !calm -> advance(); forget(me); sort() } /* it dies once it has written down */
#endif
	od
}

/* ---- The platform ---- */

proctype Platform() {
	byte n;
	do
#ifdef OLD_LISTING
	:: d_step { before != exists || young || outdated -> before = exists; young = 0; outdated = 0;
		mind[0].outdated = 0; mind[1].outdated = 0; mind[0].since = (mind[0].at == idle || mind[0].at == read -> 0 : 1); mind[1].since = (mind[1].at == idle || mind[1].at == read -> 0 : 1) }
#endif
	:: atomic {
		creates -> n = 1;
		do
		:: creates & BIT(n) -> break
		:: (creates >> (n + 1)) -> n++
		od;
		d_step {
			assert(!(killed & BIT(n))); /* no instance lives twice */
#ifdef END
			assert(!ended); /* nobody would ever look at it again */
#endif
			exists = exists | BIT(n);
#ifndef NO_SPENT
			creates = creates & ~BIT(n);
#endif
			n = 0
		}
	}
	:: atomic {
		destroys -> n = 1;
		do
		:: destroys & BIT(n) -> break
		:: (destroys >> (n + 1)) -> n++
		od;
		d_step {
			if
			:: !(dead & BIT(n)) ->
				killed = killed | BIT(n);
				assert(way == none || target_of != n); /* it has drained */
				safe()
			:: else
			fi;
			exists = exists & ~BIT(n); dead = dead & ~BIT(n); spent = spent | BIT(n);
			useless();
			n = 0
		}
	}
	od
}

/* ---- The plane ---- */

/* Plane.Publish and Plane.apply: carrier after carrier, then the file; a crash may come between any two. */
proctype Plane() {
	byte n;              /* the generation being published; 0: what was accepted, after a start */
	byte to;             /* its routes */
	unsigned stage : 3;  /* 0: nothing is being published */
	do
	:: atomic { up && stage == 0 && publishes -> n = 1;
		do
		:: publishes & BIT(n) -> break
		:: (publishes >> (n + 1)) -> n++
		od;
		d_step {
			publishes = publishes & ~BIT(n);
			if
			:: n < accepted && IGNORES -> n = 0
			:: else -> to = table[n]; stage = 1; quiet = false
			fi;
			table[n] = 0
		}
	}
	:: d_step { up && stage == 1 && worker -> at_worker = at_worker | to; stage = 2; safe() } /* Proxy.members: first who is missing */
	:: d_step { up && stage == 2 && worker -> at_worker = to; stage = 3; safe() }             /* then who should take no more */
#ifdef OLD_LIST
	:: d_step { up && stage == 1 && worker && !older ->
		older = true; at_older = at_worker; at_worker = to; stage = 3;
		if :: way == over_worker -> way = over_older :: else fi;
		safe() }
#else
	:: d_step { up && stage == 1 && worker && way == over_worker -> /* Proxy.reload; without requests the old worker ends at once */
		way = over_older; at_worker = to; stage = 3; safe() }
#endif
	:: d_step { up && (stage == 1 || stage == 2) && !worker -> worker = true; at_worker = to; stage = 3; safe() } /* Proxy.start */
	:: d_step { up && stage == 3 -> at_kernel = to; kernel = true; stage = 4; safe() }        /* l4: one transaction */
	:: d_step { up && stage == 4 ->                                                            /* Plane.save */
		if :: n > 0 -> accepted = n; routes = to :: else fi;
		useless();
		n = 0; to = 0; stage = 0; quiet = true }
	:: d_step { up && stage == 0 && !worker -> worker = true; at_worker = routes; safe() }     /* Proxy.keep */
	:: d_step { !up -> up = true; quiet = false; n = 0; to = routes; stage = 1 }               /* plane.Open in a new process */
	od
}

/* ---- Users, and bad luck ---- */

inline choose(set, w) {
	n = 1;
	do
	:: (set) & BIT(n) -> break
	:: ((set) >> (n + 1)) -> n++
	od;
	assert(!(killed & BIT(n))); /* a request never reaches what Glint has destroyed */
	if
	:: dead & BIT(n) -> skip /* refused */
	:: else -> way = w; target_of = n
#ifdef OLD_RETRIES
		; waits = false
#endif
	fi;
	n = 0
}

proctype User() {
	byte n;
	do
	:: atomic { way == none && worker && at_worker -> choose(at_worker, over_worker) }
	:: atomic { way == none && kernel && at_kernel -> choose(at_kernel, over_kernel) }
#ifdef OLD_CHOOSES
	:: atomic { way == none && older && at_older -> choose(at_older, over_older) }
#endif
#ifdef OLD_RETRIES
	:: d_step { way != none && !waits -> way = none; target_of = 0 }
	:: atomic { waits && way == over_older && at_older -> choose(at_older, over_older) }
	:: atomic { waits && way == over_worker && at_worker -> choose(at_worker, over_worker) }
#else
	:: d_step { way != none -> way = none; target_of = 0 }
#endif
#ifdef CAN_REST
	:: d_step { REST -> assert(false) }
#endif
#ifdef OLD_LIST
	:: d_step { older && way != over_older -> older = false; at_older = 0 } /* the old worker ends */
#endif
	od
}

/* HAProxy ends with all its workers; the kernel's table is taken away; the process of the plane dies. */
proctype Luck() {
	byte n;
	do
	:: d_step { revision == 0 -> revision = 1 }
#if CRASHES > 0
	:: atomic { crashes > 0 && (exists & ~dead) && !calm -> n = 1;
		do
		:: (exists & ~dead) & BIT(n) -> break
		:: ((exists & ~dead) >> (n + 1)) -> n++
		od;
		d_step {
			dead = dead | BIT(n); crashes--; fell++;
#ifdef OLD_RETRIES
			if :: (way == over_worker || way == over_older) && target_of == n -> waits = true :: else fi;
			if :: target_of == n -> target_of = 0; way = (waits -> way : none) :: else fi;
#else
			if :: target_of == n -> way = none; target_of = 0 :: else fi;
#endif
			n = 0
		}
	}
#endif
#if HAPROXY > 0
	:: d_step { haproxy > 0 && worker && !calm -> haproxy--; worker = false; at_worker = 0; older = false; at_older = 0;
#ifdef OLD_RETRIES
		waits = false;
#endif
		if :: way == over_worker || way == over_older -> way = none; target_of = 0 :: else fi }
#endif
#if KERNEL > 0
	:: d_step { kernels > 0 && kernel && !calm -> kernels--; kernel = false; at_kernel = 0 }
#endif
#if PLANES > 0
	:: d_step { planes > 0 && up && !calm -> planes--; up = false }
#endif
#ifdef LIVE
	:: d_step { revision == 1 && !calm -> calm = true }
#endif
	od
}

init {
	atomic {
		mind[0].at = idle; mind[1].at = idle;
		head.mem = FIRST; head.stay = FIRST; head.routed = FIRST; head.seen = FIRST; head.last = W; head.routes = 1;
		exists = FIRST; given = FIRST; accepted = 1; routes = FIRST; at_worker = FIRST; at_kernel = FIRST;
		run Conductor(0);
#ifndef SOLO
		run Conductor(1);
#endif
		run Platform(); run Plane(); run User(); run Luck()
	}
}

#ifdef LIVE
/* Once nothing fails any more, the system comes to rest with what is declared, and stays so. */
ltl rests { <>[] REST }
#endif
