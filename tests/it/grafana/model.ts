// What a dashboard of ours may be: Grafana's own model, narrowed to the panels that we use, so that a key which none of
// them has, or a word that one does not know, is an error of the TypeScript compiler.
import type * as model from "SCHEMA/raw/dashboard/x/dashboard_types.gen";
import type * as stat from "SCHEMA/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as timeline from "SCHEMA/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "SCHEMA/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as series from "SCHEMA/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has no enums: there a member of one is its value.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer U)[]
    ? Plain<U>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

type Source = { type: "prometheus"; uid: "${datasource}" };

type Query = {
  datasource: Source;
  editorMode: "code";
  expr: string;
  refId: string;
  legendFormat: string;
} & (
  | { range: true; instant: false; format: "time_series"; interval: "1m" }
  | { range: false; instant: true; format: "table" }
);

type Shown<Type extends string, Options, Field> = Plain<
  Omit<model.Panel, "type" | "datasource" | "options" | "fieldConfig" | "targets">
> & {
  type: Type;
  datasource: Source;
  title: string;
  description: string;
  options: Plain<Options>;
  targets: Query[];
  fieldConfig: {
    defaults: Plain<Omit<model.FieldConfig, "custom">> & { unit: string; custom?: Plain<Field> };
    overrides: { matcher: { id: "byName"; options: string }; properties: { id: string; value: unknown }[] }[];
  };
};

type Panel =
  | Shown<"stat", stat.Options, never>
  | Shown<"table", Omit<table.Options, "frameIndex">, table.FieldConfig>
  | Shown<"timeseries", series.Options, series.FieldConfig>
  | Shown<"state-timeline", timeline.Options, timeline.FieldConfig>
  | (Plain<Omit<model.RowPanel, "panels">> & { type: "row"; title: string; collapsed: false; panels: never[] });

// These are in every dashboard that Grafana writes, and not in its model.
type Variable = Plain<Omit<model.VariableModel, "datasource">> & {
  datasource?: Source;
  definition?: string;
  auto?: boolean;
  auto_count?: number;
  auto_min?: string;
};

export type Dashboard = Plain<Omit<model.Dashboard, "panels" | "templating">> & {
  id: null;
  uid: string;
  panels: Panel[];
  templating: { list: Variable[] };
};
