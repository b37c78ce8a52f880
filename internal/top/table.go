package top

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// A column is one of the table of tubes.
type column struct {
	title string // also the name by which Options.Sort asks for it, in lower case
	width int
	text  func(r *row) string
	// key is what rows are sorted by, largest first; NaN is last. nil: by name.
	key   func(r *row) float64
	color func(s *styles, r *row) style // nil: the usual
	// keep says how dear the column is: where there is no room, the one with the
	// smallest goes first.
	keep int
}

const (
	nameColumn  = 0
	readyColumn = 1
	leastName   = 16 // cells, before columns are left out
)

// columns returns the columns in their order. The first has the name, and the room
// that the others leave.
func columns() []column {
	number := func(get func(r *row) int64) (func(*row) string, func(*row) float64) {
		return func(r *row) string { return count(get(r)) }, func(r *row) float64 { return known(get(r)) }
	}
	c := []column{
		{title: "TUBE", text: func(r *row) string { return r.Name }, keep: 100},
		{title: "READY", width: 6, keep: 99},
		{title: "RESVD", width: 6, keep: 4},
		{title: "DELAY", width: 6, keep: 3},
		{title: "BURIED", width: 7, keep: 6, color: func(s *styles, r *row) style { return s.when(r.Buried > 0, s.bad) }},
		{title: "IN/S", width: 6, keep: 7, text: func(r *row) string { return perSecond(r.in) }, key: func(r *row) float64 { return r.in }},
		{title: "OUT/S", width: 6, keep: 8, text: func(r *row) string { return perSecond(r.out) }, key: func(r *row) float64 { return r.out }},
		{title: "WAIT", width: 5, keep: 5, color: func(s *styles, r *row) style { return s.when(r.Waiting > 0, s.good) }},
		{title: "OLDEST", width: 7, keep: 2, text: func(r *row) string { return span(r.Oldest) }, key: func(r *row) float64 { return known(int64(r.Oldest)) }},
		{title: "PAUSE", width: 6, keep: 1, key: func(r *row) float64 { return float64(r.PauseLeft) }, text: func(r *row) string {
			if r.PauseLeft <= 0 {
				return ""
			}
			return span(r.PauseLeft)
		}, color: func(s *styles, r *row) style { return s.when(r.PauseLeft > 0, s.warn) }},
	}
	c[1].text, c[1].key = number(func(r *row) int64 { return r.Ready })
	c[2].text, c[2].key = number(func(r *row) int64 { return r.Reserved })
	c[3].text, c[3].key = number(func(r *row) int64 { return r.Delayed })
	c[4].text, c[4].key = number(func(r *row) int64 { return r.Buried })
	c[7].text, c[7].key = number(func(r *row) int64 { return r.Waiting })
	return c
}

// columnNamed returns the place of the column with that name, in any case, or -1.
func columnNamed(name string) int {
	return slices.IndexFunc(columns(), func(c column) bool { return strings.EqualFold(c.title, name) })
}

// columnNames are the names of all columns.
func columnNames() (names []string) {
	for _, c := range columns() {
		names = append(names, strings.ToLower(c.title))
	}
	return names
}

func known(n int64) float64 {
	if n < 0 {
		return math.NaN()
	}
	return float64(n)
}

// order returns the rows of f the names of which contain filter, in upper or lower
// case, sorted, and how long the longest of these is. It takes some milliseconds for ten thousand.
func order(f *frame, filter string, c *column, reverse bool) (rows []*row, longest int) {
	type ranked struct {
		key float64
		row *row
	}
	filter = strings.ToLower(filter)
	found := make([]ranked, 0, len(f.tubes))
	for i := range f.tubes {
		r := &f.tubes[i]
		if filter != "" && !strings.Contains(strings.ToLower(r.Name), filter) {
			continue
		}
		longest = max(longest, len(r.Name))
		x := ranked{row: r}
		if c.key != nil {
			x.key = c.key(r)
		}
		found = append(found, x)
	}
	slices.SortFunc(found, func(a, b ranked) int {
		// What is not known is last whichever way round.
		if d := cmp.Compare(btoi(math.IsNaN(a.key)), btoi(math.IsNaN(b.key))); d != 0 {
			return d
		}
		d := 0
		if !math.IsNaN(a.key) {
			d = cmp.Compare(b.key, a.key)
		}
		if d == 0 && c.key != nil {
			return cmp.Compare(a.row.Name, b.row.Name)
		}
		if c.key == nil {
			d = cmp.Compare(a.row.Name, b.row.Name)
		}
		if reverse {
			d = -d
		}
		return d
	})
	rows = make([]*row, len(found))
	for i := range found {
		rows[i] = found[i].row
	}
	return rows, longest
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// layout is which columns there is room for.
type layout struct {
	columns []int // places in columns()
	name    int   // width of the first
	trend   int   // width of the little picture at the end, 0 without
}

// lay returns the layout for a width, and names so long. The column that the table is sorted by stays
// for as long as the number of ready jobs does.
func lay(all []column, width, sorted, longest int) layout {
	var l layout
	for i := range all {
		l.columns = append(l.columns, i)
	}
	room := func() int {
		n := width
		for _, i := range l.columns[1:] {
			n -= 1 + all[i].width
		}
		return n
	}
	for room() < leastName && len(l.columns) > 1 {
		worst := 1
		for at := 1; at < len(l.columns); at++ {
			if dear(all, l.columns[at], sorted) < dear(all, l.columns[worst], sorted) {
				worst = at
			}
		}
		l.columns = slices.Delete(l.columns, worst, worst+1)
	}
	l.name = max(room(), 0)
	const leastTrend = 8
	name := max(leastName, min(longest, l.name*2/3))
	if trend := min(trendLength, l.name-name-2); trend >= leastTrend {
		l.trend = trend
		l.name -= trend + 2
	}
	return l
}

func dear(all []column, i, sorted int) int {
	if i == sorted {
		return all[readyColumn].keep
	}
	return all[i].keep
}
