package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"spoked/internal/history"
	"spoked/queue"
)

// tubesPage is the page of all tubes.
type tubesPage struct {
	Now     *history.Snapshot
	Rows    []tubeRow
	Filter  string
	Sort    string
	Down    bool // the largest first
	From    int  // index of the first row
	To      int  // and behind the last
	Total   int  // that the filter lets through
	All     int
	Columns []column
	Prev    string // address of the rows before, "" if there are none
	Next    string
	Live    string // query of the stream
	Rights  Rights
	Here    string
}

type tubeRow struct {
	*history.Tube
	Signs []sign
}

// column is a heading by which one can sort.
type column struct {
	Name, Label, Title string
	Link               string
	Sorted             string // ascending or descending, or ""
	Number             bool
}

// tubesAtOnce is how many tubes a page has.
const tubesAtOnce = 100

// order is a way to sort tubes.
type order struct {
	name, label, title string
	down               bool // the largest come first
	compare            func(a, b *history.Tube) int
}

// orders are the ways to sort tubes, in the order of the columns.
var orders = []order{
	{"name", "Tube", "by name", false, func(a, b *history.Tube) int { return cmp.Compare(a.Name, b.Name) }},
	{"ready", "Ready", "jobs that wait for a worker", true, func(a, b *history.Tube) int { return cmp.Compare(a.Jobs[queue.Ready], b.Jobs[queue.Ready]) }},
	{"delayed", "Delayed", "jobs that are ready later", true, func(a, b *history.Tube) int { return cmp.Compare(a.Jobs[queue.Delayed], b.Jobs[queue.Delayed]) }},
	{"reserved", "Reserved", "jobs that workers have", true, func(a, b *history.Tube) int { return cmp.Compare(a.Jobs[queue.Reserved], b.Jobs[queue.Reserved]) }},
	{"buried", "Buried", "jobs that are set aside", true, func(a, b *history.Tube) int { return cmp.Compare(a.Jobs[queue.Buried], b.Jobs[queue.Buried]) }},
	{"in", "In/s", "jobs put a second", true, func(a, b *history.Tube) int { return cmp.Compare(a.Puts, b.Puts) }},
	{"out", "Out/s", "jobs deleted a second", true, func(a, b *history.Tube) int { return cmp.Compare(a.Deleted, b.Deleted) }},
	{"oldest", "Oldest", "age of the oldest ready job", true, func(a, b *history.Tube) int { return cmp.Compare(oldness(a), oldness(b)) }},
	{"workers", "Workers", "workers that wait, of those that watch", true, func(a, b *history.Tube) int {
		return cmp.Or(cmp.Compare(a.Watching, b.Watching), cmp.Compare(a.Waiting, b.Waiting))
	}},
}

// oldness is larger the older the oldest job is.
func oldness(t *history.Tube) int64 {
	if t.Oldest == 0 {
		return -1 << 63
	}
	return -t.Oldest
}

func (c *call) tubes() (any, error) {
	q := c.r.URL.Query()
	p := tubesPage{Now: c.h.opts.History.Now(), Filter: q.Get("q"), Sort: q.Get("sort"), Rights: c.rights, All: c.h.opts.History.Now().Stats.Tubes}
	p.Here = "/tubes"
	chosen := slices.IndexFunc(orders, func(o order) bool { return o.name == p.Sort })
	if chosen < 0 {
		chosen = 1
	}
	p.Sort = orders[chosen].name
	p.Down = orders[chosen].down
	switch q.Get("dir") {
	case "up":
		p.Down = false
	case "down":
		p.Down = true
	}
	filter := strings.ToLower(p.Filter)
	var list []*history.Tube
	for name, t := range p.Now.Tubes {
		if filter == "" || strings.Contains(strings.ToLower(name), filter) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *history.Tube) int {
		v := orders[chosen].compare(a, b)
		if p.Down {
			v = -v
		}
		return cmp.Or(v, cmp.Compare(a.Name, b.Name))
	})
	p.Total = len(list)
	from, _ := strconv.Atoi(q.Get("from"))
	p.From = max(0, min(from, p.Total-1)) / tubesAtOnce * tubesAtOnce
	p.To = min(p.Total, p.From+tubesAtOnce)
	for _, t := range list[p.From:p.To] {
		p.Rows = append(p.Rows, tubeRow{t, signsOf(t, p.Now)})
	}
	p.link()
	return p, nil
}

// link fills in the addresses.
func (p *tubesPage) link() {
	dir := func(down bool) string {
		if down {
			return "down"
		}
		return "up"
	}
	for _, s := range orders {
		k := column{Name: s.name, Label: s.label, Title: s.title, Number: s.name != "name"}
		down := s.down
		if s.name == p.Sort {
			down = !p.Down
			k.Sorted = "ascending"
			if p.Down {
				k.Sorted = "descending"
			}
		}
		k.Link = query("/tubes", "q", p.Filter, "sort", s.name, "dir", dir(down))
		p.Columns = append(p.Columns, k)
	}
	at := func(from int) string {
		return query("/tubes", "q", p.Filter, "sort", p.Sort, "dir", dir(p.Down), "from", from)
	}
	if p.From > 0 {
		p.Prev = at(p.From - tubesAtOnce)
	}
	if p.To < p.Total {
		p.Next = at(p.To)
	}
	v := url.Values{"q": {p.Filter}, "sort": {p.Sort}, "dir": {dir(p.Down)}, "from": {strconv.Itoa(p.From)}}
	p.Live = v.Encode()
	p.Here = "/tubes?" + p.Live
}
