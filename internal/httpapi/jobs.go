package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

const (
	maxBytes     = math.MaxInt32 // of a body
	defaultBytes = 4096          // of each body in a list
	maxContains  = 4096          // bytes to be searched for
)

// jobs lists the jobs of all tubes, or of one.
func (c *call) jobs() error { return c.list(c.params(), true) }

// tubeJobs lists the jobs of the tube in the path.
func (c *call) tubeJobs() error { return c.list(c.params(), false) }

func (c *call) list(p *params, anyTube bool) (err error) {
	var tube string
	if anyTube {
		tube = p.tube()
	}
	s := manage.Search{
		States:   p.states("state", 0),
		Contains: []byte(p.text("contains")),
		After:    p.number("after", 0, 0, math.MaxUint64),
		Limit:    int(p.number("limit", 100, 1, maxPage)),
	}
	as := p.shape(defaultBytes)
	if len(s.Contains) > maxContains {
		p.fail(about("contains", api.BadValue, "the parameter contains has %d bytes, and may have %d", len(s.Contains), maxContains))
	}
	if anyTube {
		err = p.end()
	} else if tube, err = c.onTube(p); err == nil {
		_, err = c.m.Tube(tube)
	}
	if err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	leave, err := c.stream()
	if err != nil {
		return err
	}
	defer leave()
	s.Tube, s.Bytes = tube, as.bytes
	l, err := c.m.Jobs(c.r.Context(), s)
	if err != nil {
		return err
	}
	page := api.Page{Jobs: make([]api.Job, 0, len(l.Jobs)), Complete: l.Complete, Examined: l.Examined}
	for i := range l.Jobs {
		page.Jobs = append(page.Jobs, listedOf(&l.Jobs[i], as))
	}
	if !l.Complete {
		page.Next = l.Last
	}
	return c.ok(page)
}

// onJob reads what a call about a job has besides a body.
func (c *call) onJob(p *params) (id uint64, err error) {
	if id, err = c.id(); err != nil {
		return 0, err
	}
	c.what = "the job " + strconv.FormatUint(id, 10)
	return id, p.end()
}

func (c *call) getJob() error {
	p := c.params()
	as := p.shape(maxBytes)
	id, err := c.onJob(p)
	if err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	l, err := c.m.Job(c.r.Context(), id, as.bytes)
	if err != nil {
		return err
	}
	return c.ok(listedOf(l, as))
}

// getBody answers with the bytes of a body.
func (c *call) getBody() error {
	p := c.params()
	most := int(p.number("bytes", maxBytes, 1, maxBytes))
	id, err := c.onJob(p)
	if err != nil {
		return err
	}
	if err := c.accepts(api.Raw); err != nil {
		return err
	}
	l, err := c.m.Job(c.r.Context(), id, most)
	if err != nil {
		return err
	}
	if len(l.Body) < int(l.Size) {
		c.w.Header().Set(api.Truncated, "true")
	}
	c.w.Header().Set("Content-Disposition", "attachment")
	_ = c.h.send(c.w, http.StatusOK, api.Raw, l.Body)
	return nil
}

func (c *call) deleteJob() error {
	id, err := c.onJob(c.params())
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	if err := c.m.Delete(c.r.Context(), id); err != nil {
		return err
	}
	return c.done()
}

func (c *call) kickJob() error {
	id, err := c.onJob(c.params())
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	if err := c.m.KickJob(c.r.Context(), id); err != nil {
		return err
	}
	return c.done()
}

func (c *call) changeJob() error {
	id, err := c.onJob(c.params())
	if err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	var v api.Change
	if err := c.json(&v, maxSmall, false); err != nil {
		return err
	}
	if v == (api.Change{}) {
		return problem(api.BadRequest, "there is nothing to be changed: pri, delay or tube")
	}
	change, err := changeOf(v)
	if err != nil {
		return err
	}
	l, err := c.m.Change(c.r.Context(), id, change)
	if err != nil {
		return err
	}
	return c.ok(listedOf(l, shape{bytes: -1}))
}

func changeOf(v api.Change) (c manage.Change, err error) {
	c.Pri = v.Pri
	if v.Delay != nil {
		if err := checkSeconds("delay", *v.Delay); err != nil {
			return c, err
		}
		c.Delay = new(time.Duration(*v.Delay))
	}
	if v.Tube != nil {
		if err := checkTube("tube", *v.Tube); err != nil {
			return c, err
		}
		c.Tube = v.Tube
	}
	return c, nil
}

// maxDuration is the longest delay and the longest time to run, as on the wire.
const maxDuration = math.MaxUint32 * time.Second

func checkSeconds(member string, d api.Duration) error {
	if time.Duration(d) > maxDuration {
		return about(member, api.BadValue, "the member %s is %v, and may be %v at most", member, d, maxDuration)
	}
	return nil
}

func (c *call) bulk() error {
	if err := c.noParams(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	var v api.Bulk
	if err := c.json(&v, maxSmall, false); err != nil {
		return err
	}
	b, err := bulkOf(v)
	if err != nil {
		return err
	}
	leave, err := c.stream()
	if err != nil {
		return err
	}
	defer leave()
	r, err := c.m.Bulk(c.r.Context(), b)
	if err != nil {
		return c.told(err, func(p *api.Error) {
			p.Matched, p.Changed, p.Skipped, p.Next = &r.Matched, &r.Changed, &r.Skipped, r.Last
		})
	}
	result := api.BulkResult{
		Action: v.Action, Matched: r.Matched, Changed: r.Changed, Skipped: r.Skipped, Examined: r.Examined,
		Complete: r.Complete, DryRun: v.DryRun,
	}
	if !r.Complete {
		result.Next = r.Last
	}
	return c.ok(result)
}

// bulkOf returns what v asks for, if it can be done.
func bulkOf(v api.Bulk) (b manage.Bulk, err error) {
	b.DryRun = v.DryRun
	b.Tube, b.Contains, b.After, b.Limit = v.Tube, []byte(v.Contains), v.After, v.Limit
	if v.Until > 0 && v.Until < math.MaxUint64 {
		b.Until = v.Until + 1
	}
	if b.States, err = statesOf("states", v.States); err != nil {
		return b, err
	}
	switch {
	case v.Limit < 0:
		return b, about("limit", api.BadValue, "the member limit is negative")
	case len(v.Contains) > maxContains:
		return b, about("contains", api.BadValue, "the member contains has %d bytes, and may have %d", len(v.Contains), maxContains)
	case v.To != nil && v.Action != "move":
		return b, about("to", api.BadValue, "only move has a tube to move jobs to")
	case (v.Pri != nil || v.Delay != nil) && v.Action != "change":
		return b, about("action", api.BadValue, "only change has a priority or a delay")
	}
	if v.Tube != "" {
		if err := checkTube("tube", v.Tube); err != nil {
			return b, err
		}
	}
	switch v.Action {
	case "delete":
		b.Action = manage.DeleteJobs
	case "kick":
		b.Action = manage.KickJobs
		if b.States == 0 {
			b.States = queue.States(queue.Delayed, queue.Buried)
		}
	case "move":
		if v.To == nil {
			return b, about("to", api.BadValue, "the member to is missing: the tube to move jobs to")
		}
		b.Action = manage.MoveJobs
		b.Change, err = changeOf(api.Change{Tube: v.To})
	case "change":
		if v.Pri == nil && v.Delay == nil {
			return b, about("pri", api.BadValue, "there is nothing to be changed: pri or delay")
		}
		b.Action = manage.ChangeJobs
		b.Change, err = changeOf(api.Change{Pri: v.Pri, Delay: v.Delay})
	default:
		return b, about("action", api.BadValue, "the member action is %.40q, and must be delete, kick, move or change", v.Action)
	}
	return b, err
}

// put puts one job.
func (c *call) put() error {
	p := c.params()
	t, err := c.mediaType()
	if err != nil {
		return err
	}
	var pri uint64
	var delay, ttr time.Duration
	raw := t == api.Raw || strings.HasPrefix(t, "text/")
	if raw {
		pri = p.number("pri", api.DefaultPri, 0, math.MaxUint32)
		delay, ttr = p.duration("delay", 0), p.duration("ttr", api.DefaultTTR)
	}
	tube, err := c.onTube(p)
	if err != nil {
		return err
	}
	if t != api.JSON && !raw {
		return problem(api.UnsupportedType, "the request's type is %.100q, and must be %s, or %s or text for the bytes of a body",
			t, api.JSON, api.Raw)
	}
	most := int64(c.h.maxJob.Load())
	if !raw {
		most = 2*most + maxSmall
	}
	b, err := c.body(most)
	if err != nil {
		return err
	}
	j := &manage.NewJob{Tube: tube, Pri: uint32(pri), Delay: delay, TTR: ttr, Body: b}
	if !raw {
		if j, _, err = c.jobFrom(b, tube, false); err != nil {
			return err
		}
	} else if err := checkTimes(api.Duration(delay), api.Duration(ttr)); err != nil {
		return err
	}
	return c.putOnce(j)
}

func checkTimes(delay, ttr api.Duration) error {
	if err := checkSeconds("delay", delay); err != nil {
		return err
	}
	return checkSeconds("ttr", ttr)
}

// jobFrom returns the job that a JSON object describes, and its key, or "". In which
// tube it is, and its key, says the object only if it may.
func (c *call) jobFrom(b []byte, tube string, own bool) (j *manage.NewJob, key string, err error) {
	var v api.Put
	if err := decode(b, &v); err != nil {
		return nil, "", err
	}
	switch {
	case v.Tube != "" && !own && v.Tube != tube:
		return nil, "", about("tube", api.BadValue, "the tube is %s by the path", tube)
	case v.IdempotencyKey != nil && !own:
		return nil, "", about("idempotency_key", api.BadValue, "the key of a single job is in the header %s", api.IdempotencyKey)
	case v.Tube != "":
		tube = v.Tube
	case tube == "":
		return nil, "", about("tube", api.BadValue, "the member tube is missing")
	}
	if err := checkTube("tube", tube); err != nil {
		return nil, "", err
	}
	body, err := bytesOf(v.Content)
	if err != nil {
		return nil, "", err
	}
	if len(body) > int(c.h.maxJob.Load()) {
		return nil, "", problem(api.TooLarge, "the job has %d bytes, and may have %d", len(body), c.h.maxJob.Load())
	}
	if v.IdempotencyKey != nil {
		if err := checkKey("idempotency_key", *v.IdempotencyKey); err != nil {
			return nil, "", err
		}
		key = *v.IdempotencyKey
	}
	j = &manage.NewJob{Tube: tube, Pri: api.DefaultPri, Delay: time.Duration(v.Delay), TTR: time.Duration(api.DefaultTTR), Body: body}
	if v.Pri != nil {
		j.Pri = *v.Pri
	}
	if v.TTR != nil {
		j.TTR = time.Duration(*v.TTR)
	}
	return j, key, checkTimes(v.Delay, api.Duration(j.TTR))
}

// answerPut answers that a job was put.
func (c *call) answerPut(id uint64) error {
	c.w.Header().Set("Location", api.Prefix+"/jobs/"+strconv.FormatUint(id, 10))
	return c.created(http.StatusCreated, api.PutResult{ID: id})
}
