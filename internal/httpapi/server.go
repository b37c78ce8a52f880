package httpapi

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

const (
	busiest      = 100 // tubes that a status tells of
	watchedNames = 100 // tubes that a connection tells of
)

// status answers with the state of the server.
func (c *call) status() error {
	if err := c.noParams(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	var v api.Status
	if c.h.opts.Facts != nil {
		v = c.h.opts.Facts()
	}
	s := c.m.Status()
	v.State = api.Running
	if s.Draining {
		v.State = api.Draining
	}
	v.MaxJobSize = c.h.maxJob.Load()
	v.Jobs, v.TotalJobs, v.Timeouts, v.BodyBytes = countsOf(s.Jobs, s.Urgent), s.TotalJobs, s.Timeouts, s.BodyBytes
	v.Connections = api.Connections{
		Now: s.Connections, Producers: s.Producers, Workers: s.Workers, Waiting: s.Waiting, Total: s.TotalConnections,
	}
	v.Tubes = s.Tubes
	v.TubeCounts = []api.TubeCounts{}
	tubes, err := c.m.Busiest(c.r.Context(), busiest)
	if err != nil {
		return err
	}
	for i := range tubes {
		t := &tubes[i]
		v.TubeCounts = append(v.TubeCounts, api.TubeCounts{Name: t.Name, Ready: t.Jobs[queue.Ready], Waiting: t.Waiting})
	}
	return c.ok(v)
}

func (c *call) drain() error { return c.setDraining(true) }

func (c *call) undrain() error { return c.setDraining(false) }

func (c *call) setDraining(on bool) error {
	if err := c.noParams(); err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	c.m.Drain(on)
	if on {
		return c.ok(api.State{State: api.Draining})
	}
	return c.ok(api.State{State: api.Running})
}

// connections lists the clients of the wire protocol, in the order of their
// numbers, and before the first of them those that wait over HTTP, which have none.
func (c *call) connections() error {
	p := c.params()
	after := p.number("after", 0, 0, math.MaxUint64)
	limit := int(p.number("limit", 100, 1, maxPage))
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	number := c.h.opts.Session
	if number == nil {
		number = func(any) uint64 { return 0 }
	}
	// First only their numbers: there may be many, and all wait meanwhile.
	var page []uint64
	c.m.Connections(0, func(data any, attached bool) bool {
		if id := number(data); !attached && (id > after || after == 0) {
			page = append(page, id)
		}
		return false
	}, nil)
	slices.Sort(page)
	v := api.ConnectionList{Connections: []api.Connection{}}
	if len(page) > limit {
		page = page[:limit]
		v.Next = page[limit-1]
	}
	guests := 0
	c.m.Connections(watchedNames, func(data any, attached bool) bool {
		if attached {
			guests++
			return after == 0 && guests <= limit
		}
		_, found := slices.BinarySearch(page, number(data))
		return found
	}, func(k manage.Connection) {
		conn := api.Connection{
			Kind: "http", Using: k.Using, Watching: k.Watching, Watched: k.Watched, Reserved: k.Held,
			Producer: k.Producer, Worker: k.Worker, Waiting: k.Waiting,
		}
		if !k.Attached {
			conn.Kind, conn.ID = "wire", number(k.Data)
			if c.h.opts.Remote != nil {
				conn.Remote = c.h.opts.Remote(k.Data)
			}
		}
		v.Connections = append(v.Connections, conn)
	})
	slices.SortStableFunc(v.Connections, func(a, b api.Connection) int { return cmp.Compare(a.ID, b.ID) })
	return c.ok(v)
}

func (c *call) backup() error {
	if err := c.noParams(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	var v api.BackupTo
	if err := c.json(&v, maxSmall, false); err != nil {
		return err
	}
	switch {
	case v.To == "":
		return about("to", api.BadValue, "the member to is missing: the directory to copy the journal to")
	case !filepath.IsAbs(v.To):
		return about("to", api.BadValue, "the directory %.200q is not an absolute path", v.To)
	case c.h.opts.Backup == nil:
		return problem(api.NoJournal, "this server keeps its jobs in memory alone, so there is no journal to be copied")
	}
	b, err := c.h.opts.Backup(c.r, v.To)
	if err != nil {
		if c.r.Context().Err() != nil {
			return c.r.Context().Err()
		}
		return problem(api.BackupFailed, "%v", err)
	}
	return c.ok(b)
}
