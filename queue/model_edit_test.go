package queue_test

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"spoked/queue"
)

// What the model does that beanstalkd does not.

func (m *model) attach(name int) *modelClient {
	c := &modelClient{name: name, used: m.tubes[0], watched: []*modelTube{m.tubes[0]}, attached: true}
	m.clients = append(m.clients, c)
	return c
}

func (m *model) hand(c, d *modelClient, id uint64) error {
	j := m.held(c, id)
	if j == nil {
		return queue.ErrNotFound
	}
	if c == d {
		return nil
	}
	m.enter(j, queue.Reserved, d)
	if m.soon(d) && slices.Contains(m.waiting, d) {
		m.wake(d, queue.DeadlineSoon, nil)
	}
	return nil
}

func (m *model) clear(tube string, states queue.StateSet) (n uint32, err error) {
	t := m.find(tube)
	if t == nil {
		return 0, queue.ErrNotFound
	}
	for _, j := range slices.Clone(m.jobs) {
		if j.tube == t && states.Has(j.State) {
			m.jobs = remove(m.jobs, j)
			t.deletes++
			m.deletes++
			n++
		}
	}
	m.drop(t)
	return n, nil
}

// toEdit returns the job with that id if it can be moved or changed.
func (m *model) toEdit(id uint64) (*modelJob, error) {
	j := m.job(id)
	switch {
	case j == nil:
		return nil, queue.ErrNotFound
	case j.State == queue.Reserved:
		return nil, queue.ErrReserved
	}
	return j, nil
}

func (m *model) move(id uint64, tube string) error {
	j, err := m.toEdit(id)
	if err != nil || j.Tube == tube {
		return err
	}
	from := j.tube
	j.tube = m.tube(tube)
	j.Tube = tube
	m.enter(j, j.State, nil)
	m.dispatch()
	m.drop(from)
	return nil
}

func (m *model) change(id uint64, c queue.Change) error {
	j, err := m.toEdit(id)
	if err != nil {
		return err
	}
	if j.State == queue.Buried && c.Delay != nil {
		return queue.ErrBuried
	}
	if c.Pri != nil {
		j.Pri = *c.Pri
	}
	if c.Delay != nil {
		m.makeReadyAfter(j, *c.Delay)
	}
	m.dispatch()
	return nil
}

func (m *model) importJob(i *queue.Imported) (uint64, error) {
	if m.draining {
		return 0, queue.ErrDraining
	}
	m.lastID++
	t := m.tube(i.Tube)
	j := &modelJob{tube: t, created: min(i.Created, m.now), body: string(i.Body), deadline: i.At}
	j.ID, j.Tube, j.Pri, j.State = m.lastID, i.Tube, i.Pri, i.State
	j.Delay, j.TTR = queue.Round(i.Delay), queue.Round(max(i.TTR, time.Second))
	j.Reserves, j.Timeouts, j.Releases, j.Buries, j.Kicks = i.Reserves, i.Timeouts, i.Releases, i.Buries, i.Kicks
	if j.State == queue.Reserved || j.State == queue.Delayed && i.At <= m.now {
		j.State = queue.Ready
	}
	t.total++
	m.total++
	m.jobs = append(m.jobs, j)
	m.dispatch()
	return j.ID, nil
}

// query returns the jobs that q asks for with an id above after. Those of which the
// body cannot be searched are among them.
func (m *model) query(q *queue.Query, after uint64, unsearched func(id uint64) bool) (found []*modelJob) {
	for _, j := range m.jobs {
		if j.ID > after && (q.Until == 0 || j.ID < q.Until) && (q.Tube == "" || j.Tube == q.Tube) && (q.States == 0 || q.States.Has(j.State)) &&
			(strings.Contains(j.body, string(q.Contains)) || len(j.body) >= len(q.Contains) && unsearched(j.ID)) {
			found = append(found, j)
		}
	}
	slices.SortFunc(found, func(a, b *modelJob) int { return cmp.Compare(a.ID, b.ID) })
	return found
}
