package language

import (
	"math"
	"time"

	"github.com/glint-infra/glint"
)

const (
	second = int64(time.Second)
	hour   = int64(time.Hour)
	day    = 24 * hour
	mib    = int64(1) << 20
	tib    = int64(1) << 40
)

var (
	typeText    = &Type{Kind: KindText, Example: `"text"`}
	typeLive    = &Type{Kind: KindText, Live: true, Example: `"text"`}
	typeArgs    = &Type{Kind: KindList, Nonempty: true, Elem: &Type{Kind: KindText, Example: `"--verbose"`}, Example: `["/web", "--verbose"]`}
	typeCommand = &Type{Kind: KindList, Nonempty: true, Elem: &Type{Kind: KindText, Live: true, Example: `"--verbose"`}, Example: `["/web", "--verbose"]`}
	typePort    = &Type{Kind: KindWhole, Min: 1, Max: math.MaxUint16, Example: "8080"}
	typeName    = &Type{Kind: KindText, Form: formName, Example: `"http"`}
	typeURL     = &Type{Kind: KindText, Form: formURL, Example: `"/healthz"`}
	typeAbs     = &Type{Kind: KindText, Form: formAbs, Example: `"/data"`}
	typeEnv     = &Type{Kind: KindMap, Key: formEnv, Elem: typeLive, Example: `{ LEVEL = "info" }`}
	typeFolders = &Type{Kind: KindList, Elem: typeAbs, Example: `["/var/run"]`}
	typeImage   = &Type{Kind: KindRef, To: ToImage, Example: "image.web"}
	typeAfter   = &Type{Kind: KindList, Elem: &Type{Kind: KindRef, To: ToEither, Example: "service.cache"}, Example: "[service.cache, task.migrate]"}
	typeGrace   = &Type{Kind: KindDuration, Min: 0, Max: day, Example: `"30s"`}
	typeTries   = &Type{Kind: KindWhole, Min: 1, Max: 100, Example: "3"}
)

// What promote may be.
const (
	PromoteAuto   = "auto"
	PromoteManual = "manual"
)

// top0 is the language: everything that may be written. Defaults that depend on other values are filled in by who reads it.
func top0() *Body {
	return &Body{Blocks: []Block{
		{Kind: "stack", Label: formName, Once: true, Required: true, Body: &Body{},
			Doc: "One declared application in one environment."},
		{Kind: "image", Label: formName, Body: imageBody(),
			Doc: "A sealed, read-only file system and how to start what is in it."},
		{Kind: "service", Label: formName, Body: serviceBody(), Aliases: []string{"container", "app", "deployment"},
			Doc: "What should run some number of times."},
		{Kind: "task", Label: formName, Body: taskBody(), Aliases: []string{"job", "migration", "hook", "oneshot"},
			Doc: "What should run to its end once, in each version. Tasks and services share their names."},
		{Kind: "route", Label: formHost, Body: routeBody(), Aliases: []string{"ingress", "domain", "host", "proxy"},
			Doc: "How requests from outside, for this host name, reach a service."},
		{Kind: "allow", Body: allowBody(), Aliases: []string{"firewall", "network"},
			Doc: "Lets the instances of one service, or a task, reach a port of another. What is not allowed is refused."},
	}}
}

func imageBody() *Body {
	return &Body{
		Attributes: []Attribute{
			{Name: "from", Required: true, Aliases: []string{"base"}, Doc: "What the image is made from.",
				Type: &Type{Kind: KindText, Enum: []string{"scratch"}, Example: `"scratch"`, Calls: []Call{{
					Name: "debian", Doc: "A Debian release, with packages.", Example: `debian("bookworm")`,
					Params: []Type{{Kind: KindText, Enum: []string{"bookworm"}, Example: `"bookworm"`}},
				}}}},
			{Name: "packages", Doc: "Debian packages to install.", Aliases: []string{"apt", "install"},
				Type: &Type{Kind: KindList, Elem: &Type{Kind: KindText, Form: formPackage, Example: `"redis-server"`}, Example: `["redis-server"]`}},
			{Name: "entrypoint", Type: typeArgs, Doc: "The program and its arguments. Without it, every service of this image needs a command.", Aliases: []string{"cmd", "command"}},
			{Name: "env", Doc: "Environment of the program; that of a service goes before it.", Aliases: []string{"environment"},
				Type: &Type{Kind: KindMap, Key: formEnv, Elem: typeText, Example: `{ LANG = "C.UTF-8" }`}},
		},
		Blocks: []Block{{Kind: "copy", Body: copyBody(), Aliases: []string{"add", "file"},
			Doc: "Takes files from the folder of glint.hcl into the image. Later ones cover earlier ones."}},
	}
}

func copyBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "from", Required: true, Aliases: []string{"src", "source"}, Doc: "A file, a folder (its content is copied) or a pattern, beneath the folder of glint.hcl.",
			Type: &Type{Kind: KindText, Form: formFrom, Example: `"bin/web"`}},
		{Name: "to", Required: true, Aliases: []string{"dst", "dest", "destination", "target"}, Doc: "Where it stands in the image; with a final \"/\", or for a pattern: the folder to copy into.",
			Type: &Type{Kind: KindText, Form: formTo, Example: `"/web"`}},
		{Name: "mode", Aliases: []string{"chmod"}, Doc: "Permissions of the files. Without it: 0755 for what may be executed, else 0644.",
			Type: &Type{Kind: KindText, Form: formMode, Example: `"0755"`}},
	}}
}

func serviceBody() *Body {
	return &Body{
		Attributes: []Attribute{
			{Name: "image", Required: true, Type: typeImage, Doc: "What its instances are made from."},
			{Name: "instances", Short: "instances", Type: &Type{Kind: KindWhole, Min: 0, Max: 10_000, Example: "3"}, Default: "1", Aliases: []string{"replicas", "count", "scale"},
				Doc: "How many run. As a block: between which numbers a person or a program may choose.", Source: "1 as with every peer; 10,000 is what the planner is measured with"},
			{Name: "standby", Default: "0", Type: &Type{Kind: KindWhole, Min: 0, Max: 100, Example: "1"}, Aliases: []string{"spare", "spares"},
				Doc: "Instances that are made and held before their program starts, to stand in at once for those that fail.", Source: "each holds an address and a place; who wants to heal in milliseconds asks for it"},
			{Name: "after", Type: typeAfter, Aliases: []string{"depends_on", "requires", "needs", "wait_for"},
				Doc: "What must be in place before a new version of this service begins: services serve, tasks have succeeded. Healing, regeneration and rollback do not wait."},
			maxAge(),
			{Name: "command", Type: typeCommand, Aliases: []string{"cmd", "args", "entrypoint"}, Doc: "The program and its arguments. Without it: the image's entrypoint."},
			{Name: "env", Type: typeEnv, Aliases: []string{"environment"}, Doc: "Environment of the program."},
			{Name: "writable", Type: typeFolders, Aliases: []string{"tmpfs"},
				Doc: "Folders that the program may write to. They are memory (64MiB each at most) and gone with the instance."},
			{Name: "ports", Short: "port", Type: &Type{Kind: KindMap, Key: formName, Elem: typePort, Example: "{ http = 8080 }"}, Doc: "Short form of port blocks: names and numbers."},
			{Name: "health", Short: "health", Doc: "Short form of a health block.", Type: &Type{Kind: KindCall, Example: `http("/healthz")`, Calls: []Call{
				{Name: "http", Doc: "GET a path, of the service's only http port or the named one.", Example: `http("/healthz")`, Params: []Type{*typeURL, *typeName}, Optional: 1},
				{Name: "tcp", Doc: "Connect to a port.", Example: `tcp("redis")`, Params: []Type{*typeName}},
				{Name: "exec", Doc: "Run a command inside.", Example: `exec(["/bin/check"])`, Params: []Type{*typeArgs}},
			}}},
		},
		Blocks: []Block{
			{Kind: "instances", Once: true, Body: instancesBody(), Aliases: []string{"autoscale", "autoscaling", "scaling"}, Doc: "Between which numbers of instances may be chosen while it runs."},
			{Kind: "port", Label: formName, Body: portBody(), Aliases: []string{"expose", "listen"}, Doc: "Where its instances listen."},
			{Kind: "health", Once: true, Body: healthBody(), Aliases: []string{"healthcheck", "health_check", "probe", "readiness", "liveness", "check"}, Doc: "How to tell that an instance does its work."},
			{Kind: "resources", Once: true, Body: resourcesBody(), Aliases: []string{"limits", "deploy"}, Doc: "What an instance may use."},
			{Kind: "volume", Label: formName, Body: volumeBody(), Aliases: []string{"volumes", "mount", "storage"}, Doc: "Data that outlives instances. Only one instance may hold it at a time."},
			{Kind: "update", Once: true, Body: updateBody(), Aliases: []string{"rollout", "strategy", "update_config"}, Doc: "How instances are replaced, for whatever reason."},
		},
	}
}

// maxAge is on by default, because what crept into an instance unseen should not need anybody's attention to be gone:
// the design promises 7 days (a week, as people count the age of a system's last clean start) for services without
// volumes. What holds a volume is replaced with a pause, which nobody should get unasked.
func maxAge() Attribute {
	return Attribute{
		Name: "max_age", Default: "7d", Aliases: []string{"ttl", "lifetime"},
		Type: &Type{Kind: KindDuration, Min: 10 * second, Max: 365 * day, Example: `"1h"`, Calls: []Call{
			{Name: "never", Doc: "Instances may grow old, for this reason.", Example: `never("why")`, Params: []Type{{Kind: KindText, Form: formReason, Example: `"it holds a game for hours"`}}},
		}},
		Doc:    "Instances older than this are replaced, though nothing changed. Longer than update.start_within and update.grace together. Without it: 7d, or never for a service with volumes.",
		Source: "Glint's promise that nothing grows old, by default within a week; below 10s an instance would live hardly longer than its own start and end",
	}
}

func instancesBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "min", Required: true, Type: &Type{Kind: KindWhole, Min: 0, Max: 10_000, Example: "2"}, Aliases: []string{"minimum", "min_replicas", "least"},
			Doc: "The least that may be asked for, and how many run until somebody asks."},
		{Name: "max", Required: true, Type: &Type{Kind: KindWhole, Min: 1, Max: 10_000, Example: "10"}, Aliases: []string{"maximum", "max_replicas", "most"},
			Doc: "The most that may be asked for. It has no default: what may grow without end takes the machine from its neighbours."},
	}}
}

func taskBody() *Body {
	return &Body{
		Attributes: []Attribute{
			{Name: "image", Required: true, Type: typeImage, Doc: "What its instance is made from."},
			{Name: "command", Type: typeCommand, Aliases: []string{"cmd", "args", "entrypoint"}, Doc: "The program and its arguments; exit status 0 means that it succeeded. Without it: the image's entrypoint."},
			{Name: "env", Type: typeEnv, Aliases: []string{"environment"}, Doc: "Environment of the program."},
			{Name: "writable", Type: typeFolders, Aliases: []string{"tmpfs"},
				Doc: "Folders that the program may write to. They are memory (64MiB each at most) and gone with the instance."},
			{Name: "after", Type: typeAfter, Aliases: []string{"depends_on", "requires", "needs", "wait_for"},
				Doc: "What must be in place before the task begins: services serve, tasks have succeeded."},
			{Name: "timeout", Default: "10m", Type: &Type{Kind: KindDuration, Min: second, Max: day, Example: `"10m"`}, Aliases: []string{"start_within", "deadline", "active_deadline_seconds"},
				Doc: "How long it may take to end; then it has failed.", Source: "twice what Helm gives a hook, for a larger table to be migrated"},
			{Name: "tries", Default: "1", Type: typeTries, Aliases: []string{"retries", "attempts", "backoff_limit"},
				Doc: "How often it may fail before its version is rejected. One that was lost on the way is never tried again unasked.", Source: "what was done by half is not done again unless a person knows that it may be"},
			{Name: "grace", Default: "30s", Type: typeGrace, Aliases: []string{"grace_period", "stop_grace_period"},
				Doc: "How long its program may take to end when it is told to.", Source: "Kubernetes' terminationGracePeriodSeconds"},
		},
		Blocks: []Block{
			{Kind: "resources", Once: true, Body: resourcesBody(), Aliases: []string{"limits", "deploy"}, Doc: "What its instance may use."},
		},
		Foreign: map[string]string{
			"instances": "a task is one instance that runs to its end: leave it out, or write a service",
			"standby":   "a task is one instance that runs to its end: leave it out",
			"port":      "a task does not serve: leave it out, or write a service",
			"ports":     "a task does not serve: leave it out, or write a service",
			"health":    "the exit status of its program says how a task went: leave it out",
			"volume":    "a task holds no data: let it reach a service that does",
			"max_age":   "a task ends by itself, or after its timeout: leave it out",
			"update":    "a task has timeout, tries and grace of its own: write them without update",
			"canary":    "a task is one instance that runs to its end: leave it out",
			"bake":      "a task is one instance that runs to its end: leave it out",
			"promote":   "a task is one instance that runs to its end: leave it out",
			"warm":      "a task is one instance that runs to its end: leave it out",
		},
	}
}

func portBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "number", Required: true, Type: typePort, Aliases: []string{"port", "container_port", "target"}, Doc: "The port's number."},
		{Name: "protocol", Type: &Type{Kind: KindText, Enum: []string{string(glint.HTTP), string(glint.TCP)}, Example: `"http"`}, Aliases: []string{"scheme", "type"},
			Doc: `How its traffic is carried: http by request, tcp by connection. Without it: http for a port called "http" or "http-…", else tcp.`},
	}}
}

func healthBody() *Body {
	return &Body{
		OneOf: []string{"http", "tcp", "exec"},
		Attributes: []Attribute{
			{Name: "interval", Default: "2s", Type: &Type{Kind: KindDuration, Min: second / 10, Max: hour, Example: `"2s"`}, Aliases: []string{"period"},
				Doc: "Time between two probes.", Source: "HAProxy's inter; with unready_after it takes a stuck instance out of the routes within 5s"},
			{Name: "timeout", Type: &Type{Kind: KindDuration, Min: second / 100, Max: hour, Example: `"1s"`},
				Doc: "Time for one answer, at most interval. Without it: 1s, or interval where that is shorter.", Source: "Kubernetes' timeoutSeconds"},
			{Name: "ready_after", Default: "1", Type: &Type{Kind: KindWhole, Min: 1, Max: 100, Example: "1"}, Aliases: []string{"rise", "success_threshold"},
				Doc: "Good answers on end before an instance is ready.", Source: "Kubernetes' successThreshold"},
			{Name: "unready_after", Default: "2", Type: &Type{Kind: KindWhole, Min: 1, Max: 100, Example: "2"}, Aliases: []string{"fall", "failure_threshold", "retries"},
				Doc: "Bad answers on end before it is not.", Source: "one more than ready_after: hysteresis, so that one lost answer moves no traffic"},
			{Name: "replace_after", Type: &Type{Kind: KindDuration, Min: second, Max: day, Example: `"30s"`},
				Doc: "Bad answers for this long on end before an instance is replaced, at least interval × unready_after. Without it: 30s, or that.", Source: "Kubernetes' periodSeconds × failureThreshold of a liveness probe"},
		},
		Blocks: []Block{
			{Kind: "http", Once: true, Aliases: []string{"http_get", "https"}, Doc: "Wants a 2xx or 3xx answer to GET.", Body: &Body{Attributes: []Attribute{
				{Name: "port", Type: typeName, Doc: "Name of an http port of this service. Without it: its only one."},
				{Name: "path", Required: true, Type: typeURL, Aliases: []string{"url", "uri"}, Doc: "What to ask for."},
			}}},
			{Kind: "tcp", Once: true, Aliases: []string{"tcp_socket"}, Doc: "Wants a connection to be accepted.", Body: &Body{Attributes: []Attribute{
				{Name: "port", Required: true, Type: typeName, Doc: "Name of a port of this service."},
			}}},
			{Kind: "exec", Once: true, Aliases: []string{"command", "cmd"}, Doc: "Runs a command inside the instance and wants exit status 0.", Body: &Body{Attributes: []Attribute{
				{Name: "command", Required: true, Type: typeArgs, Aliases: []string{"cmd", "test"}, Doc: "The command and its arguments."},
			}}},
		},
	}
}

func resourcesBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "memory", Type: &Type{Kind: KindSize, Min: 4 * mib, Max: 64 * tib, Example: `"64MiB"`}, Aliases: []string{"mem", "memory_limit"},
			Doc: "Memory, what it writes to writable folders included. Without it: no limit.", Source: "what crun shows to be enough to start a program in (its README)"},
		{Name: "cpu", Type: &Type{Kind: KindCPU, Min: 10, Max: 1_000_000, Example: `"250m"`}, Aliases: []string{"cpus", "cpu_limit"},
			Doc: "Processing power. Without it: no limit.", Source: "the kernel's least quota is 1ms in each period of 100ms"},
		{Name: "pids", Default: "1024", Type: &Type{Kind: KindWhole, Min: 1, Max: 4 << 20, Example: "1024"}, Aliases: []string{"pids_limit", "processes"},
			Doc: "Processes and threads.", Source: "room for a thread pool per core, an end to fork bombs; PID_MAX_LIMIT of the kernel is the most"},
	}}
}

func volumeBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "path", Required: true, Type: typeAbs, Aliases: []string{"mount", "target", "destination"}, Doc: "Where the instance sees it."},
		{Name: "size", Required: true, Type: &Type{Kind: KindSize, Min: mib, Max: 1024 * tib, Example: `"1GiB"`}, Aliases: []string{"capacity", "storage"}, Doc: "How much it may hold."},
	}}
}

func updateBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "strategy", Type: &Type{Kind: KindText, Enum: []string{string(glint.Rolling), string(glint.Recreate)}, Example: `"rolling"`}, Aliases: []string{"type"},
			Doc: "rolling: new first, within surge and unavailable. recreate: old first. Without it: recreate for a service with volumes, else rolling."},
		{Name: "surge", Default: "1", Type: &Type{Kind: KindWhole, Min: 0, Max: 10_000, Example: "1"}, Aliases: []string{"max_surge", "parallel"},
			Doc: "Instances beyond the wanted number, for a rolling update.", Source: "with unavailable 0: the least with which nothing is ever missing"},
		{Name: "unavailable", Default: "0", Type: &Type{Kind: KindWhole, Min: 0, Max: 10_000, Example: "0"}, Aliases: []string{"max_unavailable"},
			Doc: "Ready instances below the wanted number that Glint may cause.", Source: "nothing is dropped by default"},
		{Name: "canary", Default: "0", Type: &Type{Kind: KindWhole, Min: 0, Max: 10_000, Example: "1"}, Aliases: []string{"canaries"},
			Doc: "Instances of a new version that must prove themselves before the others follow; fewer than instances.", Source: "0 as in Nomad: what one instance can prove, a person must say"},
		{Name: "bake", Default: "30s", Type: &Type{Kind: KindDuration, Min: second, Max: 7 * day, Example: `"30s"`}, Aliases: []string{"soak", "min_healthy_time", "bake_time", "analysis"},
			Doc: "How long the whole canary must work without a break, at most half of max_age. Without a canary: nothing.", Source: "as long as health.replace_after, so that what is broken from the start is found within it"},
		{Name: "promote", Default: PromoteAuto, Type: &Type{Kind: KindText, Enum: []string{PromoteAuto, PromoteManual}, Example: `"manual"`}, Aliases: []string{"auto_promote", "approval", "approve"},
			Doc: "Whether the others follow a baked canary by themselves or at a person's word.", Source: "nobody need be awake for what works"},
		{Name: "warm", Type: &Type{Kind: KindDuration, Min: second, Max: 7 * day, Example: `"10m"`}, Aliases: []string{"keep", "retain", "scaledown_delay"},
			Doc: "How long the instances of the version before are kept running after an update, without requests, so that a rollback takes a second; less than max_age. Without it: not at all."},
		{Name: "start_within", Default: "60s", Type: &Type{Kind: KindDuration, Min: second, Max: day, Example: `"60s"`}, Aliases: []string{"start_period", "timeout", "progress_deadline"},
			Doc: "How long an instance may take to become ready.", Source: "a slow JVM or a cold page cache starts within it"},
		{Name: "grace", Default: "30s", Type: typeGrace, Aliases: []string{"grace_period", "stop_grace_period", "drain"},
			Doc: "How long an instance may finish its requests, and then how long its program may take to end.", Source: "Kubernetes' terminationGracePeriodSeconds"},
		{Name: "tries", Default: "3", Type: typeTries, Aliases: []string{"retries", "attempts"},
			Doc: "New instances of a version that may fail before the version is rejected.", Source: "one may meet a full disk or a dying host; three in a row do not"},
	}}
}

func routeBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "to", Required: true, Type: &Type{Kind: KindRef, To: ToPort, Example: "service.web.port.http"}, Aliases: []string{"backend", "target", "service"}, Doc: "The http port that answers."},
	}}
}

func allowBody() *Body {
	return &Body{Attributes: []Attribute{
		{Name: "from", Required: true, Type: &Type{Kind: KindRef, To: ToEither, Example: "service.web"}, Aliases: []string{"source", "src"}, Doc: "Who may reach."},
		{Name: "to", Required: true, Type: &Type{Kind: KindRef, To: ToPort, Example: "service.cache.port.redis"}, Aliases: []string{"destination", "dst", "target"}, Doc: "What it may reach."},
	}}
}
