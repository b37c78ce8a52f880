package top

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"spoked/internal/api"
)

// API returns a source that asks the JSON API of a spoked. It makes calls with c, which
// remains the caller's.
func API(c *api.Client) Source {
	r := &rest{client: c}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// rest is the source that asks the JSON API.
type rest struct {
	client *api.Client
	ctx    context.Context // ends with Close
	stop   context.CancelFunc

	// When the oldest ready jobs were put. To look for them takes the server longer than
	// all the rest, so that is done beside, and less often where it takes long.
	mu     sync.Mutex
	oldest map[string]time.Time // is replaced, and not changed
	done   chan struct{}        // closed at the end of the search that is under way; nil without
	due    time.Time            // of the next
}

const (
	// pageOfTubes is how many tubes are asked for in one call, the most there may be.
	pageOfTubes = 10_000
	// oldestShare is which part of the time may be spent asking for the oldest jobs.
	oldestShare = 20
	// oldestWait is how long a snapshot waits for them. Most servers need less.
	oldestWait = 200 * time.Millisecond
	// oldestLimit is how long such a search may take.
	oldestLimit = time.Minute
	// clientsLooked is how many connections are looked at for those of one tube.
	clientsLooked = 1000
	clientsShown  = 100
)

func (r *rest) Close() error {
	r.stop()
	return nil
}

func (r *rest) Snapshot(ctx context.Context) (*Snapshot, error) {
	status, err := r.client.Status(ctx)
	if err != nil {
		return nil, r.explain(err)
	}
	s := &Snapshot{Server: r.server(status), Tubes: make([]TubeFigures, 0, status.Tubes)}
	err = r.tubes(ctx, false, func(t *api.Tube) { s.Tubes = append(s.Tubes, figures(t)) })
	if err != nil {
		return nil, r.explain(err)
	}
	oldest, now := r.oldestJobs(ctx), time.Now()
	for i := range s.Tubes {
		t := &s.Tubes[i]
		if at, ok := oldest[t.Name]; ok && t.Ready > 0 {
			t.Oldest = max(0, now.Sub(at))
		}
	}
	return s, nil
}

// tubes calls f with all tubes, one page after the other.
func (r *rest) tubes(ctx context.Context, oldest bool, f func(t *api.Tube)) error {
	query := api.TubesQuery{Limit: pageOfTubes, Oldest: oldest}
	for {
		page, err := r.client.Tubes(ctx, query)
		if err != nil {
			return err
		}
		for i := range page.Tubes {
			f(&page.Tubes[i])
		}
		if page.Next == "" {
			return nil
		}
		query.After = page.Next
	}
}

// oldestJobs returns when the oldest ready job of each tube was put, as far as that is
// known, and begins to look for it anew when it is time. It waits for that a little.
func (r *rest) oldestJobs(ctx context.Context) map[string]time.Time {
	r.mu.Lock()
	if r.done == nil && !time.Now().Before(r.due) {
		r.done = make(chan struct{})
		go r.search(r.done)
	}
	done := r.done
	r.mu.Unlock()
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		case <-time.After(oldestWait):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.oldest
}

// search looks for the oldest jobs, and closes done.
func (r *rest) search(done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(r.ctx, oldestLimit)
	defer cancel()
	start := time.Now()
	found := map[string]time.Time{}
	err := r.tubes(ctx, true, func(t *api.Tube) {
		if t.OldestReady != nil {
			found[t.Name] = *t.OldestReady
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.done, r.due = nil, now.Add(oldestShare*now.Sub(start))
	if err == nil { // else others will tell, who ask the same server
		r.oldest = found
	}
}

// explain says of what is not an answer of the server where it was asked for.
func (r *rest) explain(err error) error {
	if api.Is(err, api.NotFound) {
		return ErrNoTube
	}
	if _, ok := errors.AsType[*api.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("cannot reach %s: %w", r.client.URL, plain(e.Err))
	}
	return fmt.Errorf("%s: %w", r.client.URL, err)
}

// server makes figures of a status.
func (r *rest) server(v *api.Status) Server {
	s := Server{
		Name:        v.Name,
		Version:     v.Version,
		Host:        v.Hostname,
		Address:     r.client.URL,
		Uptime:      time.Duration(v.Uptime),
		Draining:    v.State == api.Draining,
		Connections: int64(v.Connections.Now),
		Producers:   int64(v.Connections.Producers),
		Workers:     int64(v.Connections.Workers),
		Waiting:     int64(v.Connections.Waiting),
		Ready:       int64(v.Jobs.Ready),
		Delayed:     int64(v.Jobs.Delayed),
		Reserved:    int64(v.Jobs.Reserved),
		Buried:      int64(v.Jobs.Buried),
		Puts:        int64(v.TotalJobs),
		Timeouts:    int64(v.Timeouts),
		CPU:         time.Duration(v.CPUUser + v.CPUSystem),
		Bodies:      v.BodyBytes,

		JournalRecords: Unknown,
		JournalBytes:   Unknown,
	}
	for command, n := range v.Commands {
		if strings.HasPrefix(command, "reserve") {
			s.Reserves += int64(n)
		}
	}
	if v.Journal != nil {
		s.JournalRecords, s.JournalBytes = int64(v.Journal.Written), v.Journal.Disk
	}
	return s
}

// figures makes figures of a tube, all but Oldest.
func figures(t *api.Tube) TubeFigures {
	f := TubeFigures{
		Name:     t.Name,
		Urgent:   int64(t.Jobs.Urgent),
		Ready:    int64(t.Jobs.Ready),
		Delayed:  int64(t.Jobs.Delayed),
		Reserved: int64(t.Jobs.Reserved),
		Buried:   int64(t.Jobs.Buried),
		Using:    int64(t.Using),
		Watching: int64(t.Watching),
		Waiting:  int64(t.Waiting),
		Puts:     int64(t.TotalJobs),
		Deletes:  int64(t.Deletes),
		Pauses:   int64(t.Pauses),
		Oldest:   Unknown,
	}
	if t.Pause != nil {
		f.PauseLeft = time.Duration(t.Pause.Left)
	}
	return f
}

func (r *rest) Tube(ctx context.Context, name string, jobs int) (*Tube, error) {
	v, err := r.client.Tube(ctx, name)
	if err != nil {
		return nil, r.explain(err)
	}
	t := &Tube{TubeFigures: figures(v), Lists: true}
	if v.OldestReadyAge != nil {
		t.Oldest = time.Duration(*v.OldestReadyAge)
	}
	for _, state := range states() {
		if t.jobsOf(state) == 0 || jobs <= 0 {
			continue
		}
		if err := r.jobs(ctx, t, state, jobs); err != nil {
			return nil, r.explain(err)
		}
	}
	t.Clients, err = r.clients(ctx, name)
	if err != nil {
		if _, refused := errors.AsType[*api.Error](err); !refused { // the token may be for less
			return nil, r.explain(err)
		}
	}
	return t, nil
}

// jobs adds the jobs of one state to t: the next, and then others in the order of
// their ids.
func (r *rest) jobs(ctx context.Context, t *Tube, state string, n int) error {
	first := uint64(0)
	if state != stateReserved { // there is no next one of these
		j, err := r.client.Peek(ctx, t.Name, state)
		switch {
		case err == nil:
			first = j.ID
			t.Jobs = append(t.Jobs, job(j))
		case !api.Is(err, api.NotFound):
			return err
		}
	}
	page, err := r.client.Jobs(ctx, api.JobsQuery{Tube: t.Name, States: []string{state}, Limit: n, Bytes: head})
	if err != nil {
		return err
	}
	for i := range page.Jobs {
		if j := &page.Jobs[i]; j.ID != first {
			t.Jobs = append(t.Jobs, job(j))
		}
	}
	return nil
}

func job(j *api.Job) Job {
	b := j.Content.Bytes()
	v := Job{
		ID:       j.ID,
		State:    j.State,
		Pri:      j.Pri,
		Age:      time.Duration(j.Age),
		Left:     Unknown,
		Reserves: int64(j.Reserves),
		Size:     int64(j.Size),
		Body:     slices.Clone(b[:min(len(b), head)]),
	}
	if j.State == stateDelayed || j.State == stateReserved {
		v.Left = time.Duration(j.TimeLeft)
	}
	return v
}

// clients returns connections that use or watch a tube.
func (r *rest) clients(ctx context.Context, tube string) ([]Client, error) {
	list, err := r.client.Connections(ctx, 0, clientsLooked)
	if err != nil {
		return nil, err
	}
	var found []Client
	for i := range list.Connections {
		c := &list.Connections[i]
		v := Client{
			Address: c.Remote, Kind: c.Kind, Waits: c.Waiting, Holds: int64(c.Reserved),
			Watches: slices.Contains(c.Watching, tube), Uses: c.Using == tube,
		}
		if (v.Watches && c.Worker || v.Uses && c.Producer) && len(found) < clientsShown {
			found = append(found, v)
		}
	}
	return found, nil
}

func (r *rest) Pause(ctx context.Context, name string, d time.Duration) (err error) {
	if d > 0 {
		_, err = r.client.Pause(ctx, name, api.Duration(d))
	} else {
		_, err = r.client.Resume(ctx, name)
	}
	if err != nil {
		return r.explain(err)
	}
	return nil
}

func (r *rest) Kick(ctx context.Context, name string, n int) (int, error) {
	kicked, err := r.client.Kick(ctx, name, uint32(n))
	if err != nil {
		return 0, r.explain(err)
	}
	return kicked, nil
}
