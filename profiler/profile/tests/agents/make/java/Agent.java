import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import one.profiler.AsyncProfiler;

/** Profiles itself with async-profiler into a JFR file. */
public class Agent {
    static volatile Object sink;

    static void count(long until) {
        while (System.nanoTime() < until) {
            Map<String, Integer> counts = new HashMap<>();
            for (int i = 0; i < 10_000; i++) {
                counts.merge("key" + i % 97, 1, Integer::sum);
            }
            sink = counts;
        }
    }

    static void order(long until) {
        while (System.nanoTime() < until) {
            List<Integer> numbers = new ArrayList<>();
            for (int i = 0; i < 20_000; i++) {
                numbers.add(i * 7919 % 20_011);
            }
            numbers.sort(null);
            sink = numbers;
        }
    }

    public static void main(String[] args) throws Exception {
        AsyncProfiler profiler = AsyncProfiler.getInstance(args[0]);
        profiler.execute("start,jfr,event=itimer,interval=10ms,alloc=2m,threads,file=" + args[1]);
        long until = System.nanoTime() + 2_000_000_000L;
        Thread other = new Thread(() -> order(until), "sorter");
        other.start();
        count(until);
        other.join();
        profiler.execute("stop");
    }
}
