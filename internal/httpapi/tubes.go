package httpapi

import (
	"slices"
	"time"

	"spoked/internal/api"
	"spoked/queue"
)

// tubes lists tubes.
func (c *call) tubes() error {
	p := c.params()
	after, prefix := p.text("after"), p.text("prefix")
	limit := int(p.number("limit", 100, 1, maxTubePage))
	oldest := p.flag("oldest")
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	names, err := c.m.Tubes(c.r.Context(), prefix)
	if err != nil {
		return err
	}
	list := api.Tubes{Tubes: []api.Tube{}, Total: len(names)}
	from, there := slices.BinarySearch(names, after)
	if there {
		from++
	}
	if names = names[from:]; len(names) > limit {
		names = names[:limit]
		list.Next = names[limit-1]
	}
	err = c.m.TubeStats(c.r.Context(), names, func(s queue.TubeStats) { list.Tubes = append(list.Tubes, tubeOf(&s)) })
	if err != nil {
		return err
	}
	if oldest {
		if err := c.addOldest(list.Tubes); err != nil {
			return err
		}
	}
	return c.ok(list)
}

// addOldest adds when the oldest ready job of each tube was put.
func (c *call) addOldest(tubes []api.Tube) error {
	names := make([]string, len(tubes))
	for i := range tubes {
		names[i] = tubes[i].Name
	}
	return c.m.OldestReady(c.r.Context(), names, func(i int, created int64) {
		tubes[i].OldestReady = new(instant(created))
		tubes[i].OldestReadyAge = new(api.Duration(max(0, time.Since(*tubes[i].OldestReady))))
	})
}

// onTube reads what a call about a tube has besides a body.
func (c *call) onTube(p *params) (tube string, err error) {
	if tube, err = c.tube(); err != nil {
		return "", err
	}
	if err = p.end(); err != nil {
		return "", err
	}
	c.what = "the tube " + tube
	return tube, c.accepts(api.JSON)
}

func (c *call) getTube() error {
	tube, err := c.onTube(c.params())
	if err != nil {
		return err
	}
	s, err := c.m.Tube(tube)
	if err != nil {
		return err
	}
	tubes := []api.Tube{tubeOf(&s)}
	if err := c.addOldest(tubes); err != nil {
		return err
	}
	return c.ok(tubes[0])
}

func (c *call) deleteTube() error {
	tube, err := c.onTube(c.params())
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	n, err := c.m.DeleteTube(c.r.Context(), tube)
	if err != nil {
		return err
	}
	return c.ok(api.Count{Count: n})
}

func (c *call) pause() error {
	tube, err := c.onTube(c.params())
	if err != nil {
		return err
	}
	var v api.PauseFor
	if err := c.json(&v, maxSmall, false); err != nil {
		return err
	}
	if v.For <= 0 {
		return about("for", api.BadValue, `the member for must be a duration above 0; POST .../resume ends a pause`)
	}
	return c.setPause(tube, time.Duration(v.For))
}

func (c *call) resume() error {
	tube, err := c.onTube(c.params())
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	return c.setPause(tube, 0)
}

func (c *call) setPause(tube string, d time.Duration) error {
	s, err := c.m.Pause(c.r.Context(), tube, d)
	if err != nil {
		return err
	}
	return c.ok(tubeOf(&s))
}

// clear deletes jobs by state: those that nobody works on, unless it is asked for
// these too.
func (c *call) clear() error {
	p := c.params()
	states := p.states("state", queue.States(queue.Ready, queue.Delayed, queue.Buried))
	dryRun := p.flag("dry_run")
	tube, err := c.onTube(p)
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	n := 0
	if dryRun {
		s, err := c.m.Tube(tube)
		if err != nil {
			return err
		}
		for state, jobs := range s.Jobs {
			if states.Has(queue.State(state)) {
				n += jobs
			}
		}
	} else if n, err = c.m.Clear(c.r.Context(), tube, states); err != nil {
		return err
	}
	return c.ok(api.Count{Count: n, DryRun: dryRun})
}

func (c *call) kick() error {
	tube, err := c.onTube(c.params())
	if err != nil {
		return err
	}
	var v struct {
		Count *uint32 `json:"count"`
	}
	if err := c.json(&v, maxSmall, false); err != nil {
		return err
	}
	if v.Count == nil {
		return about("count", api.BadValue, "the member count is missing: how many jobs to kick at most")
	}
	n, err := c.m.Kick(c.r.Context(), tube, *v.Count)
	if err != nil {
		return err
	}
	return c.ok(api.Count{Count: n})
}

func (c *call) peek() error {
	p := c.params()
	name := p.text("state")
	as := p.shape(maxBytes)
	tube, err := c.onTube(p)
	if err != nil {
		return err
	}
	state, ok := stateOf(name)
	if name == "" {
		state, ok = queue.Ready, true
	}
	if !ok || state == queue.Reserved {
		return about("state", api.BadValue, "the parameter state is %.40q, and must be ready, delayed or buried", name)
	}
	if _, err := c.m.Tube(tube); err == nil {
		c.what = "a job that is " + state.String() + " in the tube " + tube
	}
	l, err := c.m.Peek(c.r.Context(), tube, state, as.bytes)
	if err != nil {
		return err
	}
	return c.ok(listedOf(l, as))
}
