package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"spoked/queue"
)

// workersPage is the page of all connections.
type workersPage struct {
	Now    int64
	Stats  queue.Stats
	Rows   []connection
	Filter string
	Kind   string // "", "workers", "producers" or "waiting"
	Kinds  []tab
	Total  int
	All    int
	Live   string
	Here   string
	Rights Rights
}

// connection is a client of the engine.
type connection struct {
	ID       uint64 // 0 if it is over HTTP
	Remote   string
	Using    string
	Watching []string // the first of them
	More     int      // that it watches besides
	Held     int
	Waiting  bool
	Since    int64 // when it began to wait
	Producer bool
	Worker   bool
}

// workersAtOnce is how many connections a page has, and mostWatching how many tubes
// of each.
const (
	workersAtOnce = 200
	mostWatching  = 6
)

// portionClients is how many clients are looked at while the server is held up.
const portionClients = 256

// eachClient calls f with every client of the engine, until it returns false, in
// portions, between which some may come or go. The server's mutex is held.
func (c *call) eachClient(f func(e *queue.Engine, now int64, k *queue.Client) (goOn bool)) {
	for seen, more := 0, true; more; seen += portionClients {
		more = false
		c.server.View(func(e *queue.Engine, now int64) {
			n := 0
			for k := range e.EachClient() {
				if n++; n <= seen {
					continue
				}
				if n > seen+portionClients {
					more = true
					return
				}
				if !f(e, now, k) {
					return
				}
			}
		})
	}
}

// connections returns the connections that pass a filter, and how many there are.
func (c *call) connections(passes func(*connection) bool) (list []connection, all int) {
	c.eachClient(func(_ *queue.Engine, _ int64, k *queue.Client) bool {
		if v, ok := c.connectionOf(k); ok {
			all++
			if passes(&v) {
				list = append(list, v)
			}
		}
		return true
	})
	return list, all
}

// connectionOf tells of a client, and false if it is no connection and does not
// wait for a job over HTTP. The server's mutex is held.
func (c *call) connectionOf(k *queue.Client) (v connection, ok bool) {
	v = connection{ID: c.h.opts.Session(k.Data), Using: k.Used(), Held: k.Held(), Producer: k.Producer(), Worker: k.Worker()}
	v.Since, v.Waiting = k.WaitingSince()
	if v.ID == 0 && !v.Waiting {
		return v, false
	}
	v.Remote = c.h.opts.Remote(k.Data)
	for name := range k.Watched() {
		if len(v.Watching) == mostWatching {
			break
		}
		v.Watching = append(v.Watching, name)
	}
	v.More = k.Watching() - len(v.Watching)
	return v, true
}

func (c *call) workers() (any, error) {
	q := c.r.URL.Query()
	p := workersPage{Filter: q.Get("q"), Kind: q.Get("kind"), Rights: c.rights}
	p.Stats = c.h.opts.History.Now().Stats
	filter := strings.ToLower(p.Filter)
	list, all := c.connections(func(v *connection) bool {
		switch p.Kind {
		case "workers":
			if !v.Worker {
				return false
			}
		case "producers":
			if !v.Producer {
				return false
			}
		case "waiting":
			if !v.Waiting {
				return false
			}
		case "busy":
			if v.Held == 0 {
				return false
			}
		}
		return filter == "" || strings.Contains(strings.ToLower(v.Remote), filter) || strconv.FormatUint(v.ID, 10) == filter ||
			strings.Contains(strings.ToLower(v.Using), filter) && v.Producer ||
			slices.ContainsFunc(v.Watching, func(name string) bool { return strings.Contains(strings.ToLower(name), filter) })
	})
	c.server.View(func(_ *queue.Engine, now int64) { p.Now = now })
	slices.SortFunc(list, func(a, b connection) int {
		// Those that work come first, then those that wait, longest first.
		return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID))
	})
	p.Total, p.All = len(list), all
	p.Rows = list[:min(len(list), workersAtOnce)]
	for _, k := range [...]tab{{State: "", Label: "All"}, {State: "busy", Label: "With jobs"}, {State: "waiting", Label: "Waiting"}, {State: "workers", Label: "Workers"}, {State: "producers", Label: "Producers"}} {
		k.Chosen = k.State == p.Kind
		k.Link = query("/workers", "q", p.Filter, "kind", k.State)
		p.Kinds = append(p.Kinds, k)
	}
	p.Here = query("/workers", "q", p.Filter, "kind", p.Kind)
	p.Live = query("/live/workers", "q", p.Filter, "kind", p.Kind)
	return p, nil
}

func rank(v connection) int {
	switch {
	case v.Waiting:
		return 0
	case v.Worker:
		return 1
	}
	return 2
}

// workerPage is the page of one connection.
type workerPage struct {
	connection
	Now    int64
	Watch  []string
	Jobs   []row
	More   int // jobs besides
	Rights Rights
	Here   string
}

func (p workerPage) title() string { return "Connection " + strconv.FormatUint(p.ID, 10) }

// mostHeld is how many jobs of a worker are shown.
const mostHeld = 200

func (c *call) worker() (any, error) {
	id, err := strconv.ParseUint(c.r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		return nil, errNoPage
	}
	p := workerPage{Rights: c.rights, Here: query("/worker", "id", id)}
	var ids []uint64
	found := false
	c.eachClient(func(e *queue.Engine, now int64, k *queue.Client) (goOn bool) {
		if found = id != 0 && c.h.opts.Session(k.Data) == id; !found {
			return true
		}
		p.Now = now
		p.ID, p.Remote, p.Using, p.Held, p.Producer, p.Worker = id, c.h.opts.Remote(k.Data), k.Used(), k.Held(), k.Producer(), k.Worker()
		p.Since, p.Waiting = k.WaitingSince()
		const mostTubes = 1000
		for name := range k.Watched() {
			if p.Watch = append(p.Watch, name); len(p.Watch) == mostTubes {
				break
			}
		}
		for id := range e.HeldBy(k) {
			if ids = append(ids, id); len(ids) == mostHeld {
				break
			}
		}
		return false
	})
	if !found {
		return nil, &complaint{404, "No such connection", "It has been closed. What it had reserved went back to its tubes, ready for others."}
	}
	p.More = p.Held - len(ids)
	for _, id := range ids {
		if j, err := c.manager.Job(c.r.Context(), id, previewBytes); err == nil {
			p.Jobs = append(p.Jobs, rowOf(*j, ""))
		}
	}
	return p, nil
}

// journalPage is the page of the journal, and of the server as a whole.
type journalPage struct {
	On       bool
	Dir      string
	Sync     string
	Segment  int64
	Figures  figures
	Backup   *lastBackup
	Backing  bool
	Can      bool // backups
	Draining bool
	Rights   Rights
	Here     string
	Proposed string // where a backup could go
	Uptime   time.Duration
	Address  string
	Version  string
}

// figures are the journal's, as they are shown.
type figures struct {
	Segments        int
	Oldest, Head    uint64
	Live, Disk      int64
	Share           int // per cent of the disk that is live
	Written, Copied uint64
	CopiedShare     int // per cent of what was written
	Full, Failed    bool
	LastSync        time.Time
	Syncs           uint64
	P50, P99        time.Duration
	Behind          uint64 // batches that are not synced
	Chores          uint64
	Fetches         int
}

func (c *call) journal() (any, error) {
	o := &c.h.opts
	p := journalPage{
		Dir: o.JournalDir, Sync: o.Sync, Segment: o.SegmentSize, Can: o.Backup != nil, Rights: c.rights, Here: "/journal",
		Backup: c.h.backup.Load(), Backing: c.h.backing.Load(), Draining: c.h.opts.History.Now().Draining,
		Uptime: time.Since(o.Started), Address: o.Address(), Version: o.Version,
	}
	f := o.Journal()
	if f == nil {
		return p, nil
	}
	p.On = true
	p.Proposed = "/var/backups/spoked-" + time.Now().UTC().Format("20060102-1504")
	p.Figures = figures{
		Segments: f.Segments, Oldest: f.Oldest, Head: f.Head, Live: f.Live, Disk: f.Disk,
		Written: f.Written, Copied: f.Copied, Full: f.Full, Failed: f.Failed,
		LastSync: f.LastSync, Syncs: f.Syncs.Count, P50: quantile(&f.Syncs, 0.5), P99: quantile(&f.Syncs, 0.99),
		Behind: f.Newest - min(f.Settled, f.Newest), Chores: f.Chores, Fetches: f.Fetches,
		Share: share(f.Live, f.Disk), CopiedShare: share(int64(f.Copied), int64(f.Written)),
	}
	return p, nil
}

// share returns how many per cent n is of all.
func share(n, all int64) int {
	if all <= 0 {
		return 0
	}
	return int(min(100, n*100/all))
}

// someTubes returns the names of some tubes, sorted, for a form to propose.
func someTubes[T any](tubes map[string]T) []string {
	const most = 200
	var names []string
	for name := range tubes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names[:min(len(names), most)]
}
