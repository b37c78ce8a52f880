package metrics

import (
	"net/http"
	"net/http/pprof"
)

// ProfileHandler serves profiles of the process below /debug/pprof/, as
// net/http/pprof does, for go tool pprof. They tell what is in memory, and one
// of them takes CPU time for as long as the request says: it is for
// administrators.
func ProfileHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
