import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/theme.css';
import './style/page.css';
import './style/panes.css';
import { App } from './views/App';

render(<App />, document.getElementById('app')!);
