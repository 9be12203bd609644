// Calls every method of the query API with the published client, over every protocol, and prints the answers, one in a
// line. Arguments: URL, start and end in milliseconds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	settingsv1 "github.com/grafana/pyroscope/api/gen/proto/go/settings/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/settings/v1/settingsv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
	web = `{service_name="web"}`
)

var start, end int64

func print(protocol, call string, answer proto.Message, err error) {
	line := map[string]any{"protocol": protocol, "call": call}
	if err != nil {
		of := new(connect.Error)
		if !errors.As(err, &of) {
			panic(err)
		}
		line["answer"] = map[string]string{"code": of.Code().String(), "message": of.Message()}
	} else {
		text, err := protojson.Marshal(answer)
		if err != nil {
			panic(err)
		}
		line["answer"] = json.RawMessage(text)
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func call[Q, A any](
	protocol, name string,
	method func(context.Context, *connect.Request[Q]) (*connect.Response[A], error),
	request *Q,
) {
	response, err := method(context.Background(), connect.NewRequest(request))
	var answer proto.Message
	if err == nil {
		answer = any(response.Msg).(proto.Message)
	}
	print(protocol, name, answer, err)
}

func stacks(selector string) *querierv1.SelectMergeStacktracesRequest {
	return &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}
}

func calls(protocol, url string, of *http.Client, options ...connect.ClientOption) {
	client := querierv1connect.NewQuerierServiceClient(of, url, options...)
	call(protocol, "ProfileTypes", client.ProfileTypes, &querierv1.ProfileTypesRequest{Start: start, End: end})
	call(protocol, "LabelNames", client.LabelNames, &typesv1.LabelNamesRequest{Start: start, End: end})
	call(protocol, "LabelValues", client.LabelValues, &typesv1.LabelValuesRequest{
		Name: "service_name", Start: start, End: end,
	})
	call(protocol, "Series", client.Series, &querierv1.SeriesRequest{
		LabelNames: []string{"service_name", "__profile_type__"}, Start: start, End: end,
	})
	call(protocol, "SelectMergeStacktraces", client.SelectMergeStacktraces, stacks(web))
	tree := stacks(web)
	tree.Format = querierv1.ProfileFormat_PROFILE_FORMAT_TREE
	call(protocol, "tree", client.SelectMergeStacktraces, tree)
	pprof := stacks(web)
	pprof.Format = querierv1.ProfileFormat_PROFILE_FORMAT_PPROF
	call(protocol, "pprof", client.SelectMergeStacktraces, pprof)
	call(protocol, "SelectMergeSpanProfile", client.SelectMergeSpanProfile, &querierv1.SelectMergeSpanProfileRequest{
		ProfileTypeID: cpu, LabelSelector: web, Start: start, End: end, SpanSelector: []string{"00f067aa0ba902b7"},
	})
	call(protocol, "SelectMergeProfile", client.SelectMergeProfile, &querierv1.SelectMergeProfileRequest{
		ProfileTypeID: cpu, LabelSelector: web, Start: start, End: end,
	})
	average := typesv1.TimeSeriesAggregationType_TIME_SERIES_AGGREGATION_TYPE_AVERAGE
	call(protocol, "SelectSeries", client.SelectSeries, &querierv1.SelectSeriesRequest{
		ProfileTypeID: cpu, LabelSelector: web, Start: start, End: end, Step: 15, GroupBy: []string{"instance"},
		Aggregation: &average,
	})
	call(protocol, "SelectHeatmap", client.SelectHeatmap, &querierv1.SelectHeatmapRequest{
		ProfileTypeID: cpu, LabelSelector: web, Start: start, End: end, Step: 60,
		QueryType: querierv1.HeatmapQueryType_HEATMAP_QUERY_TYPE_INDIVIDUAL,
	})
	call(protocol, "Diff", client.Diff, &querierv1.DiffRequest{Left: stacks(web), Right: stacks(`{service_name="api"}`)})
	call(protocol, "GetProfileStats", client.GetProfileStats, &typesv1.GetProfileStatsRequest{})
	call(protocol, "AnalyzeQuery", client.AnalyzeQuery, &querierv1.AnalyzeQueryRequest{
		Start: start, End: end, Query: cpu + web,
	})
	call(protocol, "invalid selector", client.SelectMergeStacktraces, stacks(`{ä=`))
	nodes := int64(1_000_000_000)
	many := stacks(web)
	many.MaxNodes = &nodes
	call(protocol, "max_nodes 10^9", client.SelectMergeStacktraces, many)
	if protocol == "connect+get" {
		// A URL is too short for it, so it is sent with POST.
		options = options[1:]
	}
	post := querierv1connect.NewQuerierServiceClient(of, url, options...)
	call(protocol, "10 MB selector", post.SelectMergeStacktraces, stacks(`{a="`+strings.Repeat("x", 10<<20)+`"}`))
	settings := settingsv1connect.NewSettingsServiceClient(of, url, options...)
	call(protocol, "Settings", settings.Get, &settingsv1.GetSettingsRequest{})
}

func main() {
	url := os.Args[1]
	var err error
	if start, err = strconv.ParseInt(os.Args[2], 10, 64); err != nil {
		panic(err)
	}
	if end, err = strconv.ParseInt(os.Args[3], 10, 64); err != nil {
		panic(err)
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	h2c := &http.Client{Transport: transport}
	h1 := http.DefaultClient
	calls("connect+proto", url, h1)
	calls("connect+json", url, h1, connect.WithProtoJSON())
	calls("connect+get", url, h2c, connect.WithIdempotency(connect.IdempotencyNoSideEffects), connect.WithHTTPGet())
	calls("grpc", url, h2c, connect.WithGRPC())
	calls("grpc+json", url, h2c, connect.WithGRPC(), connect.WithProtoJSON())
	calls("grpc+gzip", url, h2c, connect.WithGRPC(), connect.WithSendGzip())
	calls("grpc-web", url, h1, connect.WithGRPCWeb())
}
