package queue
import ("testing";"time";"fmt")
func TestZZ(t *testing.T) {
	const n = 100_000
	e := New(1e18)
	c := e.Connect()
	names := make([][]byte, n)
	var worst time.Duration
	m := func(what string, f func()) { s := time.Now(); f(); d := time.Since(s); if d > worst { worst = d }; if d > 700*time.Microsecond { t.Log(what, d) } }
	for i := range names { names[i] = fmt.Appendf(nil, "tube-%d", i); m(fmt.Sprint("watch", i), func() { e.Watch(c, names[i]) }) }
	t.Log("watch", worst); worst = 0
	e.Advance(1e18, 100)
	m("reserve", func() { e.Reserve(1e18, c, 0) })
	for e.Unfinished() { m("adv", func() { e.Advance(1e18, 1024) }) }
	t.Log("reserve", worst); worst = 0
	e.TakeWakes(func(Wake) {})
	m("disc", func() { e.Disconnect(1e18, c) })
	i := 0
	for e.Unfinished() { i++; m(fmt.Sprint("adv", i), func() { e.Advance(1e18, 1024) }) }
	t.Log("disc", worst, i)
}
